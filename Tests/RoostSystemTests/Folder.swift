import Glibc
import RoostSystem
import SystemPackage

/// A folder for one test's files, removed with what is in it.
final class Folder {
    let path: String

    init() throws {
        var name = Array("/tmp/roost-system-XXXXXX".utf8CString)
        guard unsafe mkdtemp(&name) != nil else { throw Errno(rawValue: errno) }
        path = String(decoding: name.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    /// The path of a file in the folder.
    func file(_ name: String) -> String { "\(path)/\(name)" }

    func endpoint(_ name: String) -> Endpoint { .unix(path: file(name)) }

    /// What is in the folder, also what begins with a dot; sorted.
    var names: [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) {
                    unsafe String(cString: $0)
                }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    func write(_ text: String, to name: String) throws {
        let file = try FileDescriptor.open(
            FilePath(file(name)), .writeOnly, options: [.create, .truncate],
            permissions: .ownerReadWrite)
        _ = try file.closeAfter { try file.writeAll(text.utf8) }
    }

    func text(_ name: String) -> String? { SmallFile.text(of: file(name)) }

    /// Puts a socket of another program at a path, on which nobody listens any more.
    func bindForeignSocket(_ name: String) throws {
        let socket = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(file(name).utf8CString)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { target in
            for (index, byte) in bytes.enumerated() {
                unsafe target[index] = UInt8(bitPattern: byte)
            }
        }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(socket, $0, size)
            }
        }
        guard result == 0 else { throw Errno(rawValue: errno) }
    }

    deinit {
        for name in names where unsafe unlink(file(name)) != 0 { _ = unsafe rmdir(file(name)) }
        _ = unsafe rmdir(path)
    }
}
