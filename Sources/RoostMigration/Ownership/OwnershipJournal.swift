internal import Glibc
internal import RoostMemory
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// What one end of a move has decided, in a file that outlives its process.
///
/// The file lies in the run directory, which is memory: a host that dies takes its guests along, and
/// afterwards there is no record. Its name is the session's number and the end. It is written before
/// the step that it speaks of is done, and held (flock(2)) by the process that carries the move.
///
///     0    ROOSTMOV │ be16 version │ u8 role │ u8 0 │ session │ token │ be64 seconds since 1970 │
///          be16 length, the command's key │ zeros │ be32 CRC-32 of all before, at 508
///     512  records of 64 bytes: u8 step │ u8 flags │ 6 zero │ be64 length │ be64 seconds │ zeros │
///          be32 CRC-32 of what is before, at 60
///
/// Flag bit 0: a person has settled it; bit 1: the outcome was told to whoever gave the command.
package final class OwnershipJournal: Sendable {
    /// The end of a move that a journal is of.
    package enum Role: UInt8, Sendable {
        /// The relay, at the source.
        case source = 1
        /// The receiver, at the destination.
        case destination = 2

        /// The end of a journal's name.
        var suffix: String { self == .source ? ".source" : ".destination" }
    }

    /// What a journal holds.
    package struct Contents: Sendable {
        /// Which move.
        package let session: MoveSession
        /// What the other end shows when it comes back.
        let token: MoveSession
        /// Which end.
        package let role: Role
        /// What the command was given, by which it is found again.
        package let key: String
        /// When the move began, in seconds since 1970.
        package let began: UInt64
        /// The last step that was recorded.
        var step: Ownership.Step
        /// The stream's length in bytes, as of that step.
        var length: UInt64
        /// When it was recorded, in seconds since 1970.
        package var recorded: UInt64
        /// Whether a person has settled the move.
        package var isSettled: Bool
        /// Whether the outcome was told.
        package var isTold: Bool
        /// How many records there are.
        fileprivate var count: Int
    }

    static let version: UInt16 = 1
    private static let headByteCount = 512
    private static let recordByteCount = 64
    /// More records than a move can make, with what people settle.
    private static let recordLimit = 56
    private static let byteCount = headByteCount + recordLimit * recordByteCount
    /// The longest key that is kept.
    static let keyLimit = 440
    /// The most journals that are over and still kept, for an end that asks late.
    private static let keptLimit = 128

    private let file: OwnedDescriptor
    /// Where the journal is.
    package let path: String
    private let contents: Mutex<Contents>

    /// What the journal holds now.
    package var now: Contents { contents.withLock { $0 } }

    private init(_ path: String, _ file: consuming OwnedDescriptor, _ contents: Contents) {
        self.path = path
        self.file = file
        self.contents = Mutex(contents)
    }

    /// Begins the journal of a move.
    ///
    /// - Parameters:
    ///   - folder: The folder of journals, which is made if it is missing.
    ///   - session: Which move.
    ///   - token: What the other end shows when it comes back.
    ///   - role: Which end.
    ///   - key: What the command was given.
    /// - Returns: The journal, held by this process.
    /// - Throws: `MigrationError` of kind `transfer`.
    static func begin(
        in folder: String, _ session: MoveSession, token: MoveSession, _ role: Role, key: String
    ) throws(MigrationError) -> OwnershipJournal {
        _ = unsafe mkdir(folder, 0o700)
        prune(folder)
        let path = "\(folder)/\(session)\(role.suffix)"
        var key = key
        while key.utf8.count > keyLimit { key.removeLast() }
        var text = ByteQueue(capacity: byteCount)
        text.append(utf8: "ROOSTMOV")
        text.append(bigEndian: version)
        text.append(bigEndian: role.rawValue)
        text.append(bigEndian: UInt8(0))
        text.append(session)
        text.append(token)
        let began = seconds()
        text.append(bigEndian: began)
        text.append(bigEndian: UInt16(truncatingIfNeeded: key.utf8.count))
        text.append(utf8: key)
        pad(&text, to: headByteCount - 4)
        text.append(bigEndian: crc32(text.bytes))
        pad(&text, to: byteCount)
        let file = try open(path, .readWrite, [.create, .exclusiveCreate])
        let contents = Contents(
            session: session, token: token, role: role, key: key, began: began, step: .began,
            length: 0, recorded: began, isSettled: false, isTold: false, count: 0)
        let journal = OwnershipJournal(path, file, contents)
        guard FileLock.hold(journal.file.descriptor) else { throw failure(path, .wouldBlock) }
        do throws(Errno) {
            try text.bytes.writeAll(to: journal.file.descriptor, at: 0)
        } catch {
            SmallFile.remove(path)
            throw failure(path, error)
        }
        try journal.record(.began, length: 0)
        return journal
    }

    /// Writes the next step, before it is done.
    ///
    /// - Parameters:
    ///   - step: The step.
    ///   - length: The stream's length in bytes.
    ///   - isSettled: Whether a person has decided it.
    ///   - isTold: Whether whoever gave the command was told.
    /// - Throws: `MigrationError` of kind `transfer`: it must not be done then.
    func record(
        _ step: Ownership.Step, length: UInt64, isSettled: Bool = false, isTold: Bool = false
    ) throws(MigrationError) {
        let path = path
        let descriptor = file.descriptor
        try contents.withLock { contents throws(MigrationError) in
            guard contents.count < Self.recordLimit else {
                throw Self.failure(path, .noSpace)
            }
            var text = ByteQueue(capacity: Self.recordByteCount)
            let recorded = Self.seconds()
            text.append(bigEndian: step.rawValue)
            text.append(bigEndian: UInt8((isSettled ? 1 : 0) | (isTold ? 2 : 0)))
            Self.pad(&text, to: 8)
            text.append(bigEndian: length)
            text.append(bigEndian: recorded)
            Self.pad(&text, to: Self.recordByteCount - 4)
            text.append(bigEndian: crc32(text.bytes))
            let place = Self.headByteCount + contents.count * Self.recordByteCount
            do throws(Errno) {
                try text.bytes.writeAll(to: descriptor, at: Int64(place))
            } catch {
                throw Self.failure(path, error)
            }
            contents.count += 1
            (contents.step, contents.length, contents.recorded) = (step, length, recorded)
            (contents.isSettled, contents.isTold) = (isSettled, isTold)
        }
    }

    /// Notes that whoever gave the command knows the outcome, so that the same command begins anew.
    package func tell() {
        let now = now
        guard now.step.isFinal, !now.isTold else { return }
        // One that cannot be noted is told once more.
        try? record(now.step, length: now.length, isSettled: now.isSettled, isTold: true)
    }

    // MARK: Finding

    /// The journals in a folder.
    ///
    /// - Parameter folder: The folder; none where it is missing.
    /// - Returns: What each holds, the oldest first. A file that is none of ours is passed over.
    package static func all(in folder: String) -> [Contents] {
        SmallFile.names(in: folder).compactMap { name in
            guard name.hasSuffix(Role.source.suffix) || name.hasSuffix(Role.destination.suffix),
                let file = try? open("\(folder)/\(name)", .readOnly, [])
            else { return nil }
            return try? read(file.descriptor, "\(folder)/\(name)")
        }.sorted { $0.began < $1.began }
    }

    /// The journal of an end of a move, to go on with.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - session: Which move.
    ///   - role: Which end.
    /// - Returns: The journal, held by this process; `nil` where there is none.
    /// - Throws: `MigrationError` of kind `transfer`: another process holds it; `malformed`.
    package static func take(
        in folder: String, _ session: MoveSession, _ role: Role
    ) throws(MigrationError) -> OwnershipJournal? {
        let path = "\(folder)/\(session)\(role.suffix)"
        guard FileFacts(at: path) != nil else { return nil }
        let file = try open(path, .readWrite, [])
        guard FileLock.hold(file.descriptor) else {
            throw MigrationError(
                .transfer, errno: .wouldBlock,
                "move \(session) is carried by another process now: wait for it, or cancel it there"
            )
        }
        let contents = try read(file.descriptor, path)
        return OwnershipJournal(path, file, contents)
    }

    /// The journal of a command that was killed, or could not say its outcome.
    ///
    /// - Parameters:
    ///   - folder: The folder.
    ///   - role: Which end.
    ///   - key: What the command was given.
    /// - Returns: The journal, held by this process; `nil` when the command begins anew.
    package static func left(
        in folder: String, _ role: Role, key: String
    ) -> OwnershipJournal? {
        let left = all(in: folder).last {
            $0.role == role && $0.key == String(key.prefix(Self.keyLimit)) && !$0.isTold
        }
        guard let left else { return nil }
        // One that is held is another's move, which was given the same words.
        return try? take(in: folder, left.session, role)
    }

    /// Removes the oldest of many journals that are over.
    private static func prune(_ folder: String) {
        let over = all(in: folder).filter { $0.step.isFinal && $0.isTold }
        for old in over.prefix(max(0, over.count - keptLimit)) {
            SmallFile.remove("\(folder)/\(old.session)\(old.role.suffix)")
        }
    }

    // MARK: Bytes

    private static func read(
        _ file: FileDescriptor, _ path: String
    ) throws(MigrationError) -> Contents {
        var input = ByteQueue(capacity: byteCount)
        do throws(Errno) {
            while input.room > 0, try input.fill(from: file) > 0 {}
        } catch {
            throw failure(path, error)
        }
        var cursor = SpanCursor(input.bytes)
        guard input.count == byteCount, cursor.readText(8) == "ROOSTMOV" else {
            throw damaged(path)
        }
        guard cursor.read(UInt16.self) == version else {
            throw MigrationError(
                .malformed,
                "\(path) is the journal of another version of Roost: settle its move with that one")
        }
        guard
            input.bytes.loadBigEndian(at: headByteCount - 4, as: UInt32.self)
                == crc32(input.bytes.extracting(0..<headByteCount - 4)),
            let role = cursor.read(UInt8.self).flatMap(Role.init), cursor.skip(1) != nil,
            let session = MoveSession(&cursor), let token = MoveSession(&cursor),
            let began = cursor.read(UInt64.self), let length = cursor.read(UInt16.self),
            Int(length) <= keyLimit, let key = cursor.readText(Int(length))
        else { throw damaged(path) }
        var contents = Contents(
            session: session, token: token, role: role, key: key, began: began, step: .began,
            length: 0, recorded: began, isSettled: false, isTold: false, count: 0)
        for index in 0..<recordLimit {
            let start = headByteCount + index * recordByteCount
            let bytes = input.bytes.extracting(start..<start + recordByteCount)
            // One that was not written whole was not acted on.
            guard
                bytes.loadBigEndian(at: recordByteCount - 4, as: UInt32.self)
                    == crc32(bytes.extracting(0..<recordByteCount - 4)),
                let step = Ownership.Step(rawValue: bytes.loadBigEndian(at: 0, as: UInt8.self))
            else { break }
            let flags = bytes.loadBigEndian(at: 1, as: UInt8.self)
            contents.step = step
            contents.length = bytes.loadBigEndian(at: 8, as: UInt64.self)
            contents.recorded = bytes.loadBigEndian(at: 16, as: UInt64.self)
            contents.isSettled = flags & 1 != 0
            contents.isTold = flags & 2 != 0
            contents.count = index + 1
        }
        return contents
    }

    private static func pad(_ queue: inout ByteQueue, to byteCount: Int) {
        while queue.count < byteCount { queue.append(bigEndian: UInt8(0)) }
    }

    private static func seconds() -> UInt64 { UInt64(clamping: time(nil)) }

    private static func open(
        _ path: String, _ mode: FileDescriptor.AccessMode, _ options: FileDescriptor.OpenOptions
    ) throws(MigrationError) -> OwnedDescriptor {
        do {
            return OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath(path), mode, options: options.union([.closeOnExec, .noFollow]),
                    permissions: .ownerReadWrite))
        } catch {
            throw failure(path, error as? Errno ?? .ioError)
        }
    }

    private static func failure(_ path: String, _ errno: Errno) -> MigrationError {
        MigrationError(
            .transfer, errno: errno,
            "cannot keep the move's journal \(path): \(errno); make room in its folder, or name "
                + "another by ROOST_SOCKET")
    }

    private static func damaged(_ path: String) -> MigrationError {
        MigrationError(
            .malformed,
            "\(path) is no journal of a move, or damaged: look at both ends, then "
                + "remove it")
    }
}
