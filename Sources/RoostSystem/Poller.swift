internal import CRoost
package import SystemPackage

/// A set of descriptors that one thread waits for (epoll(7)).
///
/// Its own descriptor is readable while one of them is ready.
package struct Poller: ~Copyable, Sendable {
    /// What a descriptor is waited for; its end and failures count as input.
    package struct Interest: OptionSet, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        package static let input = Interest(rawValue: 1)
        package static let output = Interest(rawValue: 2)
    }

    private let owned: OwnedDescriptor

    /// Readable while something is ready.
    package var descriptor: FileDescriptor { owned.descriptor }

    private init(_ owned: consuming OwnedDescriptor) {
        self.owned = owned
    }

    /// Makes an empty set.
    ///
    /// - Throws: `Errno` of epoll_create1(2).
    package static func make() throws(Errno) -> Poller {
        let result = croost_poller_make()
        guard result >= 0 else { throw Errno(rawValue: -result) }
        return Poller(OwnedDescriptor(FileDescriptor(rawValue: result)))
    }

    /// Waits for a descriptor from now on.
    ///
    /// - Parameters:
    ///   - descriptor: Which one; closing its last copy takes it out.
    ///   - interest: What for.
    ///   - token: What ``next()`` calls it.
    /// - Throws: `Errno` of epoll_ctl(2).
    package borrowing func add(
        _ descriptor: FileDescriptor, _ interest: Interest, token: UInt64
    ) throws(Errno) {
        try Self.check(
            croost_poller_add(
                owned.descriptor.rawValue, descriptor.rawValue, interest.rawValue, token))
    }

    /// Changes what a descriptor is waited for.
    ///
    /// - Parameters:
    ///   - descriptor: Which one.
    ///   - interest: What for.
    ///   - token: What ``next()`` calls it.
    /// - Throws: `Errno` of epoll_ctl(2).
    package borrowing func change(
        _ descriptor: FileDescriptor, _ interest: Interest, token: UInt64
    ) throws(Errno) {
        try Self.check(
            croost_poller_change(
                owned.descriptor.rawValue, descriptor.rawValue, interest.rawValue, token))
    }

    /// Waits for a descriptor no more; nothing happens when it was not waited for.
    package borrowing func remove(_ descriptor: FileDescriptor) {
        _ = croost_poller_remove(owned.descriptor.rawValue, descriptor.rawValue)
    }

    /// A descriptor that is ready, without waiting.
    ///
    /// They take turns, so that none is passed over for ever.
    ///
    /// - Returns: Its token and what it is ready for, or `nil` when none is.
    package borrowing func next() -> (token: UInt64, ready: Interest)? {
        var token: UInt64 = 0
        var ready: UInt32 = 0
        // SAFETY: two local values, alive for the call.
        let result = unsafe croost_poller_next(owned.descriptor.rawValue, &token, &ready)
        return result > 0 ? (token, Interest(rawValue: ready)) : nil
    }

    private static func check(_ result: Int32) throws(Errno) {
        guard result == 0 else { throw Errno(rawValue: -result) }
    }
}
