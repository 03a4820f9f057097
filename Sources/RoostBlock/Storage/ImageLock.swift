internal import CRoost
internal import Glibc
internal import RoostSystem
package import SystemPackage

/// The lock on an image that is served (BLK-20): QEMU's own, so that QEMU, qemu-img and Roost
/// refuse each other.
///
/// QEMU's protocol (QEMU block/file-posix.c) is on single bytes of the file, with locks of the
/// open file description (F_OFD_SETLK) that all are shared ones:
///
///     byte 100 + p    held by who uses the permission p
///     byte 200 + p    held by who does not let others use the permission p
///
/// Who comes locks its own bytes first and then looks whether somebody holds byte 200 + p for a
/// permission it uses, or byte 100 + p for one it does not share. When two come at once, one or both
/// give up. The lock ends when the open file does, in whichever processes it is open.
package enum ImageLock {
    /// RAW_LOCK_PERM_BASE.
    static let usedBase: Int64 = 100
    /// RAW_LOCK_SHARED_BASE.
    static let unsharedBase: Int64 = 200

    /// What a user of an image can do with it (QEMU include/block/block-common.h, BLK_PERM_*): the
    /// number is that of the bit.
    enum Permission: Int64, CaseIterable {
        case consistentRead = 0
        case write = 1
        /// Writing what is there already.
        case writeUnchanged = 2
        case resize = 3
    }

    /// What an image is opened for.
    package enum Access: Sendable {
        case reading, writing

        /// What this user of the image does.
        var used: [Permission] {
            switch self {
            case .reading: [.consistentRead]
            case .writing: [.consistentRead, .write]
            }
        }

        /// What others must not do meanwhile.
        var unshared: [Permission] { [.write, .resize] }
    }

    /// Why an image cannot be locked: a permission, and whether its holder uses it or keeps it from
    /// others.
    struct Conflict: Equatable {
        var permission: Permission
        var isUse: Bool

        /// The byte that the holder has locked.
        var byte: Int64 {
            (isUse ? ImageLock.usedBase : ImageLock.unsharedBase) + permission.rawValue
        }
    }

    /// Locks an image as long as its file is open.
    ///
    /// - Parameters:
    ///   - descriptor: The image's file.
    ///   - path: What the image is called in errors.
    ///   - access: What it is opened for.
    ///   - alternative: What can be done where somebody reads it and lets nobody write, besides
    ///     stopping them.
    /// - Throws: `BlockError` of kind `image`, which names the holder where it can be found;
    ///   nothing is locked then.
    package static func take(
        _ descriptor: FileDescriptor, of path: String, for access: Access,
        alternative: String = "serve with --read-only"
    ) throws(BlockError) {
        let conflict: Conflict?
        do throws(Errno) {
            conflict = try lock(descriptor, for: access)
        } catch {
            throw BlockError(
                .image, errno: error,
                "cannot lock \(path): \(error); put it on a file system that has locks")
        }
        guard let conflict else { return }
        let holder = ImageLockHolder.find(of: descriptor, holding: conflict.byte)
        throw BlockError(
            .image, errno: .resourceTemporarilyUnavailable,
            "cannot lock \(path): \(holder?.description ?? "another process") "
                + refusal(conflict, for: access, alternative))
    }

    /// Takes the locks and looks for those of others.
    ///
    /// - Returns: What is in the way, or `nil`: the image is locked.
    /// - Throws: `Errno` of fcntl(2); nothing is locked then.
    static func lock(
        _ descriptor: FileDescriptor, for access: Access
    ) throws(Errno) -> Conflict? {
        var conflict: Conflict?
        do throws(Errno) {
            conflict = try takeBytes(descriptor, for: access)
            if conflict == nil { conflict = try findConflict(descriptor, for: access) }
        } catch {
            release(descriptor)
            throw error
        }
        if conflict != nil { release(descriptor) }
        return conflict
    }

    /// Locks this user's bytes.
    ///
    /// - Returns: The byte on which somebody has an exclusive lock, who is not QEMU.
    /// - Throws: `Errno` of fcntl(2).
    private static func takeBytes(
        _ descriptor: FileDescriptor, for access: Access
    ) throws(Errno) -> Conflict? {
        let own =
            access.used.map { Conflict(permission: $0, isUse: true) }
            + access.unshared.map { Conflict(permission: $0, isUse: false) }
        for byte in own {
            let result = croost_lock_byte(descriptor.rawValue, byte.byte)
            if result == -EAGAIN || result == -EACCES { return byte }
            guard result == 0 else { throw Errno(rawValue: -result) }
        }
        return nil
    }

    /// Looks for locks of others that this user cannot live with, those who use it first.
    private static func findConflict(
        _ descriptor: FileDescriptor, for access: Access
    ) throws(Errno) -> Conflict? {
        let others =
            access.unshared.map { Conflict(permission: $0, isUse: true) }
            + access.used.map { Conflict(permission: $0, isUse: false) }
        for byte in others {
            let result = croost_is_byte_locked(descriptor.rawValue, byte.byte)
            guard result >= 0 else { throw Errno(rawValue: -result) }
            if result == 1 { return byte }
        }
        return nil
    }

    /// Gives every lock of this open file up.
    package static func release(_ descriptor: FileDescriptor) {
        let end = unsharedBase + 100
        // It fails only where no lock could be taken.
        _ = croost_unlock_bytes(descriptor.rawValue, usedBase, end - usedBase)
    }

    /// What the holder does, and what can be done about it.
    private static func refusal(
        _ conflict: Conflict, for access: Access, _ alternative: String
    ) -> String {
        switch (conflict.isUse, conflict.permission) {
        case (true, .resize): "may change its size; stop it"
        case (true, _): "uses it for writing; stop it"
        case (false, .write) where access == .writing:
            "reads it and lets nobody write; stop it, or \(alternative)"
        case (false, _): "wants it for itself; stop it"
        }
    }
}
