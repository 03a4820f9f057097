internal import Glibc
internal import Synchronization
internal import SystemPackage

/// The engine's end of a bridge, and what ended the bridge.
///
/// The descriptor is closed by one thread while another may break the bridge, so both are done
/// under a lock, lest a number be used that is already another file's.
final class EngineEnd: Sendable {
    private struct State {
        var isOpen = true
        var failure: HostError?
    }

    let descriptor: FileDescriptor
    private let state = Mutex(State())

    /// A pair of connected sockets: the engine's end, which blocks, and the bridge's.
    ///
    /// - Throws: The system's reason.
    static func makePair() throws(Errno) -> (EngineEnd, bridge: FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        // SAFETY: socketpair(2) writes two integers, and the array holds two.
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else {
            throw Errno(rawValue: errno)
        }
        return (
            EngineEnd(FileDescriptor(rawValue: ends[0])), FileDescriptor(rawValue: ends[1])
        )
    }

    private init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    deinit {
        close()
    }

    var failure: HostError? { state.withLock { $0.failure } }

    /// Remembers why the bridge ends, unless a reason is known, and sees to it that the engine
    /// gets a reset when the bridge's end is closed next.
    func fail(_ failure: HostError) {
        state.withLock { state in
            if state.failure == nil { state.failure = failure }
            guard state.isOpen else { return }
            // The end of a unix socket pair that is closed with bytes unread resets the other
            // (unix_release_sock in Linux's net/unix/af_unix.c); closed without, it ends it. So
            // one byte is left unread. Nothing more can be done where there is no room, which
            // means that bytes are there, or where the engine has ended its sending.
            var byte: UInt8 = 0
            // SAFETY: one byte is read from a variable of one byte.
            _ = unsafe send(descriptor.rawValue, &byte, 1, Int32(MSG_DONTWAIT | MSG_NOSIGNAL))
        }
    }

    /// Ends the engine's sending.
    func endSending() {
        state.withLock { state in
            if state.isOpen { _ = shutdown(descriptor.rawValue, Int32(SHUT_WR)) }
        }
    }

    func close() {
        state.withLock { state in
            if state.isOpen { try? descriptor.close() }
            state.isOpen = false
        }
    }
}
