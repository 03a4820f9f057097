internal import CRoost
internal import Glibc
package import SystemPackage

/// Starts programs that outlive who starts them.
package enum DetachedProgram {
    /// The descriptor on which a started program says that it is ready, by a byte `R`.
    package static let readyDescriptor: Int32 = 3

    /// Starts a program in a session of its own, nobody's child, and waits until it is ready.
    ///
    /// Its standard input and output are `/dev/null`. It inherits the environment and no
    /// descriptors but ``readyDescriptor``.
    ///
    /// - Parameters:
    ///   - path: The program.
    ///   - arguments: Its arguments, without its name.
    ///   - log: Its standard error.
    ///   - limit: How long it may take to be ready.
    /// - Throws: `SystemError` of kind `thread` when it cannot be started or ends before it is
    ///   ready, `timeout` when it is not ready in time.
    package static func start(
        _ path: String, _ arguments: [String], log: FileDescriptor, within limit: Duration
    ) throws(SystemError) {
        var readEnd: Int32 = -1
        var writeEnd: Int32 = -1
        // SAFETY: two local values, alive for the call.
        var result = unsafe croost_pipe(&readEnd, &writeEnd)
        guard result == 0 else { throw failure(path, Errno(rawValue: -result)) }
        let reader = OwnedDescriptor(FileDescriptor(rawValue: readEnd))
        do {
            let writer = OwnedDescriptor(FileDescriptor(rawValue: writeEnd))
            var words: [UnsafeMutablePointer<CChar>?] = unsafe ([path] + arguments).map {
                unsafe strdup($0)
            }
            unsafe words.append(nil)
            // SAFETY: copies of the texts, ended by NULL, freed after the call that reads them.
            result = unsafe croost_start_detached(
                path, words, log.rawValue, writer.descriptor.rawValue)
            unsafe words.forEach { unsafe free($0) }
        }
        guard result == 0 else { throw failure(path, Errno(rawValue: -result)) }
        try waitUntilReady(path, reader.descriptor, within: limit)
    }

    /// Says that this program, started so, is ready.
    package static func announceReady() {
        var byte = UInt8(ascii: "R")
        // SAFETY: one byte of a local value. Who waited may have given up, which is its affair.
        _ = unsafe write(readyDescriptor, &byte, 1)
        _ = close(readyDescriptor)
    }

    private static func waitUntilReady(
        _ path: String, _ reader: FileDescriptor, within limit: Duration
    ) throws(SystemError) {
        let deadline = ContinuousClock.now + limit
        while true {
            var wait = pollfd(fd: reader.rawValue, events: Int16(POLLIN), revents: 0)
            let left = ContinuousClock.now.duration(to: deadline).clampedMilliseconds
            // SAFETY: one entry, a local value alive for the call.
            let ready = unsafe poll(&wait, 1, left)
            if ready > 0 { break }
            guard ContinuousClock.now < deadline else {
                throw SystemError(
                    .timeout, "started \(path), which was not ready within \(limit): see its log")
            }
        }
        let (count, bytes) = StartReport.read(from: reader)
        if count >= 1, bytes[0] == UInt8(ascii: "R") { return }
        if count == 5, let reason = StartReport.errno(in: bytes) { throw failure(path, reason) }
        throw SystemError(.thread, "\(path) ended before it was ready: see its log")
    }

    private static func failure(_ path: String, _ reason: Errno) -> SystemError {
        SystemError(.thread, errno: reason, "cannot start \(path): \(reason)")
    }
}
