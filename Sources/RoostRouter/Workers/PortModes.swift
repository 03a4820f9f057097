internal import RoostMemory

/// How each port treats packets, as workers read it.
final class PortModes: Sendable {
    private let words: AtomicArray<UInt32>

    /// Makes the modes of all ports: reverse paths are not checked, redirects are sent.
    init() throws(RouterError) {
        do {
            words = try AtomicArray(count: PortTable.limit)
        } catch {
            throw RouterError(error, for: "the modes of ports")
        }
    }

    /// Sets a port's modes; packets see them from then on.
    func set(_ mode: PortMode, of port: PortIndex) {
        words.release(mode.rawValue, at: Int(port.rawValue))
    }

    /// A port's modes.
    func mode(of port: PortIndex) -> PortMode {
        PortMode(rawValue: words.acquire(Int(port.rawValue)))
    }
}

/// How a port treats packets.
struct PortMode: BitwiseCopyable, Sendable {
    var rawValue: UInt32

    init(rawValue: UInt32) {
        self.rawValue = rawValue
    }

    init(reversePath: ReversePathMode, sendsRedirects: Bool) {
        let reverse: UInt32 =
            switch reversePath {
            case .off: 0
            case .loose: 1
            case .strict: 2
            }
        rawValue = reverse | (sendsRedirects ? 0 : 4)
    }

    /// Whether the way back to a packet's source is looked up at all (RFC 3704).
    var checksReversePath: Bool { rawValue & 3 != 0 }
    /// Whether that way must leave by the port that the packet came in on.
    var isStrict: Bool { rawValue & 2 != 0 }
    /// Whether senders are told of shorter ways.
    var sendsRedirects: Bool { rawValue & 4 == 0 }
}
