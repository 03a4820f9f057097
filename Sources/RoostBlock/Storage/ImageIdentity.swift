internal import CRoost
internal import Glibc
package import SystemPackage

/// Which file or device an image is, whatever it is called.
///
/// Hard links, symbolic links and `/proc/self/fd` lead to the same identity, and a loop device has
/// also that of the file under it. It holds on this host until the next start.
package struct ImageIdentity: Equatable, Sendable {
    /// What it is known by: `file DEVICE:INODE` or `device NUMBER`, and the same of what lies under it.
    package let names: [String]

    /// Takes what another process found out.
    ///
    /// - Parameter names: The names.
    package init(names: [String]) {
        self.names = names
    }

    /// Finds out what an open file is.
    ///
    /// - Parameter descriptor: The file.
    /// - Throws: `Errno` of fstat(2).
    package init(of descriptor: FileDescriptor) throws(Errno) {
        var facts = stat()
        // SAFETY: fstat fills the struct in.
        let result = unsafe fstat(descriptor.rawValue, &facts)
        guard result == 0 else { throw Errno(rawValue: Glibc.errno) }
        guard facts.st_mode & S_IFMT == S_IFBLK else {
            names = ["file \(facts.st_dev):\(facts.st_ino)"]
            return
        }
        var names = ["device \(facts.st_rdev)"]
        if let under = LoopBacking(of: descriptor) { names.append(under.name) }
        self.names = names
    }

    /// Whether both are, or lie in, the same file or device.
    ///
    /// - Parameter other: The other one.
    /// - Returns: Whether they share a name.
    package func isSame(as other: ImageIdentity) -> Bool {
        !Set(names).isDisjoint(with: other.names)
    }
}

/// What lies under a loop device.
struct LoopBacking {
    /// The file's device and inode.
    let device: UInt64
    let inode: UInt64
    /// The number of the block device that lies there; 0 for a file.
    let blockDevice: UInt64
    /// Where in it the loop device begins, in bytes.
    let offset: UInt64

    /// Asks a loop device; `nil` for what is none.
    init?(of descriptor: FileDescriptor) {
        var (device, inode, block, offset): (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        // SAFETY: four local numbers to be filled in.
        let result = unsafe croost_loop_backing(
            descriptor.rawValue, &device, &inode, &block, &offset)
        guard result == 0 else { return nil }
        self.device = device
        self.inode = inode
        blockDevice = block
        self.offset = offset
    }

    /// The name of ``ImageIdentity`` of what lies there.
    var name: String {
        blockDevice == 0 ? "file \(device):\(inode)" : "device \(blockDevice)"
    }
}
