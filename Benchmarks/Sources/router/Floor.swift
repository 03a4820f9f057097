import CRouterPeers
import RoostRouter

/// The same work in C.
@safe
final class Floor {
    private let router: OpaquePointer

    init() throws {
        guard let router = unsafe crouter_make() else { throw Failure("there is no memory") }
        unsafe self.router = router
    }

    func setPort(_ port: UInt16, mac: UInt64) {
        unsafe crouter_set_port(router, port, mac, 1_500)
    }

    func setHop(_ hop: UInt16, mac: UInt64, port: UInt16) {
        unsafe crouter_set_hop(router, hop, mac, port)
    }

    /// Adds a prefix whose addresses are on a port's link, and the neighbours there.
    func addLink(_ prefix: Prefix<IPv4Address>, port: UInt16, neighbours: [IPv4Address]) throws {
        unsafe crouter_set_link(router, port)
        try add(prefix, hop: 255)
        for address in neighbours {
            guard unsafe crouter_add_neighbour(router, address.rawValue, hostMAC(address)) == 0
            else { throw Failure("the floor takes no more neighbours") }
        }
    }

    func add(_ prefix: Prefix<IPv4Address>, hop: UInt16) throws {
        guard
            unsafe crouter_add(router, prefix.address.rawValue, Int32(prefix.length), hop) == 0
        else { throw Failure("the floor takes no more routes") }
    }

    func load(_ bytes: [UInt8], byteCount: Int) {
        // SAFETY: the array is as long as the frames are together.
        unsafe crouter_load(router, bytes, UInt32(byteCount), UInt32(bytes.count / byteCount))
    }

    func decide(now: UInt64) -> Int {
        Int(unsafe crouter_forward(router, 0, now))
    }

    /// The frames as they are now.
    func decidedBytes() -> [UInt8] {
        // A batch is at most 64 frames of the length that is loaded.
        unsafe [UInt8](unsafeUninitializedCapacity: 64 * frameByteCount) { buffer, count in
            guard let base = buffer.baseAddress else { return }
            count = unsafe Int(crouter_bytes(router, base))
        }
    }

    deinit {
        unsafe crouter_free(router)
    }
}
