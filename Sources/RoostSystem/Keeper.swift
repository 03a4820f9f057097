internal import CRoost
internal import Glibc
package import SystemPackage

/// A process that undoes what this one does to a third, should this one be killed.
///
/// What is undone: another process is ended; texts are written to files, in order; the process is continued; a folder is
/// removed. It happens only when this process ends while the keeper is armed. The keeper ends with
/// the object, or with this process.
///
/// Any thread may call its methods.
package final class Keeper: Sendable {
    /// A text and the file it is written to.
    package struct Write: ~Copyable, Sendable {
        let file: OwnedDescriptor
        let text: String

        /// Describes a text and the file it is written to.
        package init(_ text: String, to file: consuming OwnedDescriptor) {
            self.file = file
            self.text = text
        }
    }

    /// A socket rather than a pipe, since writing to it never raises SIGPIPE.
    private let commands: StreamSocket
    /// The keeper's process number.
    package let processID: Int32

    /// Starts a keeper, not armed.
    ///
    /// - Parameters:
    ///   - process: Who is continued, or `nil`.
    ///   - other: Who is ended first, so that the two never run at once, or `nil`.
    ///   - first: What is written first.
    ///   - second: What is written then.
    ///   - folder: What is removed in the end.
    /// - Throws: `Errno` of socketpair(2) or fork(2).
    package init(
        continuing process: ProcessHandle?, afterEnding other: ProcessHandle? = nil,
        writing first: consuming Write? = nil,
        then second: consuming Write? = nil, removing folder: String? = nil
    ) throws(Errno) {
        let commands: StreamSocket
        let read: StreamSocket
        do throws(SystemError) {
            (commands, read) = try StreamSocket.pair()
        } catch {
            throw error.errno ?? .tooManyOpenFiles
        }
        let texts = [Self.text(of: first), Self.text(of: second)]
        let files = (Self.file(of: first), Self.file(of: second))
        let started: Int32 = unsafe Self.withCString(texts[0]) { firstText in
            unsafe Self.withCString(texts[1]) { secondText in
                unsafe Self.withCString(folder) { folder in
                    var keeper = unsafe croost_keeper()
                    unsafe keeper.commands = read.descriptor.rawValue
                    unsafe keeper.process = process?.descriptor.rawValue ?? -1
                    unsafe keeper.ended_process = other?.descriptor.rawValue ?? -1
                    unsafe keeper.write_descriptors = files
                    unsafe keeper.write_texts = (firstText, secondText)
                    unsafe keeper.folder = folder
                    // SAFETY: the texts live for the call, and the new process has its own copy
                    // of this one's memory.
                    return unsafe croost_keeper_start(&keeper)
                }
            }
        }
        guard started > 0 else { throw Errno(rawValue: -started) }
        self.commands = commands
        processID = started
    }

    private static func text(of write: borrowing Write?) -> String? {
        switch write {
        case .some(let write): write.text
        case .none: nil
        }
    }

    private static func file(of write: borrowing Write?) -> Int32 {
        switch write {
        case .some(let write): write.file.descriptor.rawValue
        case .none: -1
        }
    }

    private static func withCString(
        _ text: String?, _ body: (UnsafePointer<CChar>?) -> Int32
    ) -> Int32 {
        guard let text else { return body(nil) }
        return unsafe text.withCString { unsafe body($0) }
    }

    /// From now on the keeper acts when this process ends.
    ///
    /// - Throws: `Errno` when the keeper is gone: then nothing may be done that it must undo.
    package func arm() throws(Errno) {
        try command(CROOST_KEEPER_ARM)
    }

    /// From now on the keeper does nothing when this process ends.
    package func disarm() {
        // A keeper that is gone does nothing either.
        try? command(CROOST_KEEPER_DISARM)
    }

    private func command(_ letter: Int32) throws(Errno) {
        let bytes: [1 of UInt8] = [UInt8(letter)]
        // SAFETY: a byte is a plain value.
        let sent = try commands.sendNow(unsafe bytes.span.bytes)
        // Commands are read at once, so there is room unless the keeper is stopped.
        guard sent == 1 else { throw .resourceTemporarilyUnavailable }
    }

    deinit {
        disarm()
        // The commands have to end for the keeper to end, before it is waited for.
        commands.shutdown(.both)
        croost_keeper_reap(processID)
    }
}
