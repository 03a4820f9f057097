import Foundation
import Glibc
import RoostBlock
import RoostSystem
import SystemPackage
import Testing

@testable import RoostHost

/// What a disk may be copied to and from, before the first byte.
@Suite struct CopyFileTests {
    let rig: ControlRig

    init() throws { rig = try ControlRig() }

    private func file(_ name: String, _ text: String = "") throws -> String {
        let path = rig.path(name)
        try Data(text.utf8).write(to: URL(fileURLWithPath: path))
        return path
    }

    private func opened(_ path: String) throws -> OwnedDescriptor {
        OwnedDescriptor(try FileDescriptor.open(FilePath(path), .readOnly))
    }

    private func refusal(_ body: () throws -> CopyFile) -> String {
        do {
            _ = try body()
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func `the disk's own image is refused by all its names, whatever is allowed`() throws {
        let path = try file("own.raw", "sectors")
        let (hard, soft) = (rig.path("hard"), rig.path("soft"))
        #expect(unsafe link(path, hard) == 0 && symlink(path, soft) == 0)
        let image = try opened(path)
        let identity = try ImageIdentity(of: image.descriptor)
        for name in [path, hard, soft, "/proc/self/fd/\(image.descriptor.rawValue)"] {
            for mayReplace in [false, true] {
                let text = refusal {
                    try CopyFile.target(
                        name, of: "web1", image: identity, mayReplace: mayReplace)
                }
                #expect(text.contains("the disk's own image"), "\(name): \(text)")
            }
            let text = refusal { try CopyFile.source(name, for: "web1", image: identity) }
            #expect(text.contains("the disk's own image"), "\(name): \(text)")
        }
        #expect(SmallFile.text(of: path) == "sectors")
        withExtendedLifetime(image) {}
    }

    @Test func `a file with something in it is replaced only if that is asked for`() throws {
        let path = try file("old.raw", "backup")
        let text = refusal {
            try CopyFile.target(path, of: "web1", image: nil, mayReplace: false)
        }
        #expect(text.contains("not empty") && text.contains("--force"))
        _ = try CopyFile.target(path, of: "web1", image: nil, mayReplace: true)
        let empty = try file("empty.raw")
        _ = try CopyFile.target(empty, of: "web1", image: nil, mayReplace: false)
        #expect(SmallFile.text(of: path) == "backup")
    }

    @Test func `what another uses is refused with who it is, and locked by us meanwhile`() throws {
        let path = try file("used.raw", String(repeating: "x", count: 4096))
        let mine = "(process \(ThisProcess.processID)) uses it for writing"
        do {
            let held = try CopyFile.target(path, of: "web1", image: nil, mayReplace: true)
            for text in [
                refusal { try CopyFile.target(path, of: "web1", image: nil, mayReplace: true) },
                refusal { try CopyFile.source(path, for: "web1", image: nil) },
            ] { #expect(text.contains(mine), "\(text)") }
            withExtendedLifetime(held) {}
        }
        let readers = [
            try CopyFile.source(path, for: "web1", image: nil),
            try CopyFile.source(path, for: "web1", image: nil),
        ]
        let text = refusal { try CopyFile.target(path, of: "web1", image: nil, mayReplace: true) }
        #expect(text.contains("lets nobody write; stop it, or give another file"), "\(text)")
        withExtendedLifetime(readers) {}
    }

    @Test(arguments: [
        "folder", "pipe", "/dev/null", "/dev/zero", "empty", "/proc/self/status", "gone",
    ])
    func `a source without a length is refused as what it is`(name: String) throws {
        var path = name
        var says = "has no length"
        switch name {
        case "folder":
            path = rig.path(name)
            try SmallFile.makeFolder(path)
            says = "it is a directory"
        case "pipe":
            path = rig.path(name)
            #expect(unsafe mkfifo(path, 0o600) == 0)
            says = "it is a pipe"
        case "empty":
            path = try file(name)
            says = "it is empty"
        case "/proc/self/status": says = "it is empty, or says no length"
        case "gone":
            path = rig.path(name)
            says = "No such file"
        default: says = "it is a character device"
        }
        let text = refusal { try CopyFile.source(path, for: "web1", image: nil) }
        #expect(text.contains(path) && text.contains(says), "\(text)")
    }

    @Test func `streams are written in order, files appear whole, folders are none`() throws {
        let pipe = rig.path("pipe")
        #expect(unsafe mkfifo(pipe, 0o600) == 0)
        for path in [pipe, "/dev/null", "-"] {
            let target = try CopyFile.target(path, of: "web1", image: nil, mayReplace: false)
            #expect(target.kind == .stream)
        }
        let new = try CopyFile.target(rig.path("new"), of: "web1", image: nil, mayReplace: false)
        #expect(new.kind == .file)
        #expect(!FileManager.default.fileExists(atPath: rig.path("new")))
        for path in [rig.directory.path, rig.path("none/new")] {
            #expect(
                !refusal { try CopyFile.target(path, of: "web1", image: nil, mayReplace: true) }
                    .isEmpty)
        }
    }
}
