import Glibc
import Testing

@testable import RoostSystem

/// What a service manager hears, over the socket of its own that it names.
@Suite(.timeLimit(.minutes(1))) struct ServiceManagerTests {
    @Test(arguments: ["path", "abstract"])
    func `who asks is told`(kind: String) async {
        await #expect(processExitsWith: .success) { [kind] in
            let name = "/tmp/roost-notify-\(getpid())"
            let manager = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let bytes = kind == "path" ? Array(name.utf8) : [0] + Array(name.utf8)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) {
                unsafe $0.copyBytes(from: bytes)
            }
            let length = socklen_t(2 + bytes.count)
            let bound = unsafe withUnsafePointer(to: &address) { pointer in
                unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    unsafe bind(manager, $0, length)
                }
            }
            try #require(bound == 0)
            unsafe setenv("NOTIFY_SOCKET", kind == "path" ? name : "@" + name, 1)
            ServiceManager.tell(.ready)
            ServiceManager.tell(.stopping)
            for expected in ["READY=1", "STOPPING=1"] {
                var heard = [UInt8](repeating: 0, count: 64)
                let count = unsafe recv(manager, &heard, heard.count, Int32(MSG_DONTWAIT))
                try #require(count > 0)
                try #require(String(decoding: heard[..<count], as: UTF8.self) == expected)
            }
            unsafe unlink(name)
        }
    }

    @Test(arguments: ["", "@", "relative", "/nobody/listens/here"])
    func `a name that is no socket is passed over`(name: String) async {
        await #expect(processExitsWith: .success) { [name] in
            unsafe setenv("NOTIFY_SOCKET", name, 1)
            ServiceManager.tell(.ready)
        }
    }
}
