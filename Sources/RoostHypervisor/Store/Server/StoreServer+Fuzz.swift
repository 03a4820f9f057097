internal import RoostMemory

extension StoreServer {
    /// Feeds a new store what an ordinary domain might send, for fuzzers and tests of anything.
    ///
    /// The first byte of each stretch says how long the stretch is, so that messages come in
    /// pieces too. The domain owns its folder; a second client watches everything.
    ///
    /// - Parameter bytes: Any bytes.
    /// - Returns: How many bytes the store has answered to both.
    @discardableResult
    package static func feed(_ bytes: RawSpan) -> Int {
        var server = StoreServer()
        let domain = DomainID(rawValue: 1)
        server.domainAppeared(domain)
        if let folder = try? StorePath("/local/domain/1") {
            // Cannot be refused: the path is a node's.
            try? server.put([], at: folder, permissions: StorePermissions(owner: domain))
        }
        let watcher = server.connect(as: .privileged, isPrivileged: true)
        let watch = StoreMessage(.watch, payload: [UInt8](terminated: "/", "all")).encoded
        _ = server.receive(watch, from: watcher)
        let client = server.connect(as: domain, isPrivileged: false)
        var answered = 0
        var start = 0
        while start < bytes.byteCount {
            let length = Int([UInt8](bytes.extracting(start..<start + 1)).first ?? 0)
            let end = min(bytes.byteCount, start + 1 + length)
            guard server.receive(bytes.extracting(start + 1..<end), from: client) else { break }
            answered += server.takeOutput(of: client).count + server.takeOutput(of: watcher).count
            start = end
        }
        server.disconnect(client)
        server.domainDied(domain)
        return answered + server.takeOutput(of: watcher).count
    }
}

/// Feeding the store's parser, for a fuzzer in another package.
@_spi(Fuzzing)
public enum StoreFuzzing {
    /// Gives a new store some bytes of an ordinary domain; whatever they are, it returns.
    public static func check(_ bytes: [UInt8]) {
        StoreServer.feed(unsafe bytes.span.bytes)
    }
}
