internal import CRoost
internal import Glibc
package import SystemPackage

/// An event descriptor (eventfd(2)): signalled by some, taken by others, in any process.
///
/// Several signals before one is taken are one. Any thread may call any method.
package struct EventCounter: ~Copyable, Sendable {
    private let owned: OwnedDescriptor

    /// Readable while a signal is pending, for poll(2) and to be passed on.
    package var descriptor: FileDescriptor { owned.descriptor }

    private init(owned: consuming OwnedDescriptor) {
        self.owned = owned
    }

    /// Makes an event descriptor with nothing pending.
    ///
    /// - Throws: `Errno` of eventfd(2).
    package static func make() throws(Errno) -> EventCounter {
        let result = croost_event_descriptor()
        guard result >= 0 else { throw Errno(rawValue: -result) }
        return EventCounter(owned: OwnedDescriptor(FileDescriptor(rawValue: result)))
    }

    /// Takes over an event descriptor that another process made.
    ///
    /// Whatever it is, it is made not to wait.
    ///
    /// - Throws: `Errno` of fcntl(2).
    package static func adopt(_ owned: consuming OwnedDescriptor) throws(Errno) -> EventCounter {
        let result = croost_set_nonblocking(owned.descriptor.rawValue)
        guard result == 0 else { throw Errno(rawValue: -result) }
        return EventCounter(owned: owned)
    }

    /// Makes a signal pending.
    package borrowing func signal() {
        var one: UInt64 = 1
        // SAFETY: eight bytes of a local value. A full counter refuses (EAGAIN): one is pending.
        _ = unsafe write(owned.descriptor.rawValue, &one, 8)
    }

    /// Takes what is pending, without waiting.
    ///
    /// - Returns: Whether anything was.
    package borrowing func take() -> Bool {
        var count: UInt64 = 0
        // SAFETY: eight bytes of a local value.
        return unsafe read(owned.descriptor.rawValue, &count, 8) == 8 && count > 0
    }
}
