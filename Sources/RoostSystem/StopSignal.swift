internal import CRoost
internal import Glibc
internal import Synchronization
package import SystemPackage

/// A flag that ends the waits of threads; once raised it stays so.
///
/// Any thread may raise it and ask for it.
package final class StopSignal: Sendable {
    /// Readable once the signal is raised, for ever.
    private let event: OwnedDescriptor
    private let raised = Atomic<Bool>(false)

    /// Makes a signal that is not raised.
    ///
    /// - Throws: `Errno` of eventfd(2).
    package init() throws(Errno) {
        let result = croost_event_descriptor()
        guard result >= 0 else { throw Errno(rawValue: -result) }
        event = OwnedDescriptor(FileDescriptor(rawValue: result))
    }

    /// Whether the signal is raised.
    package var isRaised: Bool { raised.load(ordering: .acquiring) }

    /// Raises the signal and wakes who waits; calling it again does nothing.
    package func raise() {
        guard !raised.exchange(true, ordering: .acquiringAndReleasing) else { return }
        var one: UInt64 = 1
        // SAFETY: eight bytes of a local value; the count cannot overflow by one write.
        _ = unsafe write(event.descriptor.rawValue, &one, 8)
    }

    /// Waits until the signal is raised, a descriptor can be read or time is over.
    ///
    /// - Parameters:
    ///   - descriptor: The descriptor, or `nil`.
    ///   - timeout: How long to wait; `nil` waits for ever.
    /// - Returns: Whether the signal is raised.
    package func wait(
        orReadable descriptor: FileDescriptor? = nil, within timeout: Duration? = nil
    ) -> Bool {
        var waits: [2 of pollfd] = [
            wait, pollfd(fd: descriptor?.rawValue ?? -1, events: Int16(POLLIN), revents: 0),
        ]
        let deadline = timeout.map { ContinuousClock.now + $0 }
        while true {
            let left = deadline.map { ContinuousClock.now.duration(to: $0) }
            var entries = waits.mutableSpan
            let ready = unsafe entries.withUnsafeMutableBufferPointer { entries in
                // SAFETY: as many entries as are counted, held exclusively for the call.
                unsafe poll(entries.baseAddress, 2, left?.clampedMilliseconds ?? -1)
            }
            if ready > 0 || isRaised { return isRaised }
            if ready == 0, let deadline, ContinuousClock.now >= deadline { return false }
        }
    }

    /// Readable once the signal is raised; for poll(2) only.
    package var descriptor: FileDescriptor { event.descriptor }

    /// What poll(2) waits for.
    fileprivate var wait: pollfd {
        pollfd(fd: event.descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    }
}

extension StreamSocket {
    /// What a wait is for, and what ended it.
    package struct Readiness: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// Bytes or the end of the input can be read.
        package static let input = Readiness(rawValue: 1)
        /// Bytes can be sent.
        package static let output = Readiness(rawValue: 2)
        /// The peer sends no more.
        package static let hangup = Readiness(rawValue: 4)
        /// The connection has ended both ways.
        package static let end: Readiness = []

        /// `POLLRDHUP` of poll(2) on x86-64, which Glibc shows to GNU sources only.
        private static let peerHangup: Int32 = 0x2000

        fileprivate init(events: Int16) {
            let events = Int32(events)
            self = []
            if events & (POLLIN | POLLHUP | POLLERR) != 0 { insert(.input) }
            if events & (POLLOUT | POLLERR) != 0 { insert(.output) }
            if events & (Self.peerHangup | POLLHUP | POLLERR) != 0 { insert(.hangup) }
        }

        fileprivate var events: Int16 {
            var events: Int32 = 0
            if contains(.input) { events |= POLLIN }
            if contains(.output) { events |= POLLOUT }
            if contains(.hangup) { events |= Self.peerHangup }
            return Int16(truncatingIfNeeded: events)
        }
    }

    /// Which of the sockets waited for is ready.
    package struct Ready: OptionSet, Sendable {
        package let rawValue: UInt8

        package init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        package static let this = Ready(rawValue: 1)
        package static let other = Ready(rawValue: 2)
    }

    /// Waits until the socket is ready, another one is, a signal is raised or time is over.
    ///
    /// - Parameters:
    ///   - readiness: What to wait for.
    ///   - other: Another socket, and what of it ends the wait too.
    ///   - signal: Ends the wait too, unless `nil`.
    ///   - deadline: When to stop waiting, unless `nil`.
    /// - Returns: Which sockets are ready; a broken one is.
    package func wait(
        for readiness: Readiness, or other: (socket: StreamSocket, readiness: Readiness)? = nil,
        unless signal: StopSignal? = nil, until deadline: ContinuousClock.Instant? = nil
    ) -> Ready {
        // An entry with a negative descriptor is passed over.
        let nothing = pollfd(fd: -1, events: 0, revents: 0)
        var waits: [3 of pollfd] = [
            wait(for: readiness), other.map { $0.socket.wait(for: $0.readiness) } ?? nothing,
            signal?.wait ?? nothing,
        ]
        let clock = ContinuousClock()
        while true {
            let left = deadline.map { clock.now.duration(to: $0).clampedMilliseconds } ?? -1
            var entries = waits.mutableSpan
            let ready = unsafe entries.withUnsafeMutableBufferPointer { entries in
                // SAFETY: as many entries as are counted, held exclusively for the call.
                unsafe poll(entries.baseAddress, nfds_t(entries.count), left)
            }
            let failure = errno
            if ready > 0 {
                var found: Ready = []
                if waits[0].revents != 0 { found.insert(.this) }
                if waits[1].revents != 0 { found.insert(.other) }
                return found
            }
            if ready == 0 {
                guard let deadline, clock.now < deadline else { return [] }
            } else if failure != EINTR {
                // The kernel has no memory for the wait: the operation waited for says more.
                return .this
            }
        }
    }

    /// Waits until one of two sockets is ready, a descriptor can be read, or time is over.
    ///
    /// - Parameters:
    ///   - first: A socket and what of it to wait for, or `nil`.
    ///   - second: Another, or `nil`.
    ///   - wake: A descriptor that ends the wait when it can be read.
    ///   - deadline: When to stop waiting, unless `nil`.
    /// - Returns: What each socket is ready for. One that has failed is ready for everything.
    package static func wait(
        _ first: (socket: StreamSocket, readiness: Readiness)?,
        _ second: (socket: StreamSocket, readiness: Readiness)?,
        wake: FileDescriptor, until deadline: ContinuousClock.Instant?
    ) -> (first: Readiness, second: Readiness) {
        let nothing = pollfd(fd: -1, events: 0, revents: 0)
        var waits: [3 of pollfd] = [
            first.map { $0.socket.wait(for: $0.readiness) } ?? nothing,
            second.map { $0.socket.wait(for: $0.readiness) } ?? nothing,
            pollfd(fd: wake.rawValue, events: Int16(POLLIN), revents: 0),
        ]
        let left = deadline.map { ContinuousClock.now.duration(to: $0).clampedMilliseconds } ?? -1
        var entries = waits.mutableSpan
        // An interruption counts as time that is over: the caller looks at everything again.
        _ = unsafe entries.withUnsafeMutableBufferPointer { entries in
            // SAFETY: as many entries as are counted, held exclusively for the call.
            unsafe poll(entries.baseAddress, nfds_t(entries.count), left)
        }
        return (Readiness(events: waits[0].revents), Readiness(events: waits[1].revents))
    }

    private func wait(for readiness: Readiness) -> pollfd {
        pollfd(fd: descriptor.rawValue, events: readiness.events, revents: 0)
    }

    /// Sends as many bytes as there is room for, without waiting.
    ///
    /// - Parameter bytes: The bytes, at least one.
    /// - Returns: How many were sent; 0 when there is no room.
    /// - Throws: `Errno` of send(2). Never raises SIGPIPE.
    package func sendNow(_ bytes: RawSpan) throws(Errno) -> Int {
        let result = unsafe bytes.withUnsafeBytes { source -> Int64 in
            guard let from = source.baseAddress else { return 0 }
            // SAFETY: the buffer is the span's, alive for the call.
            return unsafe croost_send_now(descriptor.rawValue, from, source.count)
        }
        if result >= 0 { return Int(result) }
        let reason = Errno(rawValue: Int32(-result))
        guard reason == .wouldBlock || reason == .resourceTemporarilyUnavailable else {
            throw reason
        }
        return 0
    }
}
