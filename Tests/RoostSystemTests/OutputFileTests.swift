import Glibc
import RoostSystem
import SystemPackage
import Testing

@Suite(.timeLimit(.minutes(1))) struct OutputFileTests {
    private func write(_ text: String, to file: borrowing OutputFile) throws {
        try file.descriptor.writeAll(text.utf8)
    }

    /// Why a file could not be given its name, or `nil`.
    private func failure(committing file: consuming OutputFile) -> SystemError? {
        do throws(SystemError) {
            try file.commit()
            return nil
        } catch {
            return error
        }
    }

    @Test("A file appears under its name only when it is whole")
    func appears() throws {
        let folder = try Folder()
        let file = try OutputFile(path: folder.file("out"))
        try write("whole", to: file)
        #expect(folder.names.count == 1 && folder.names.allSatisfy { $0.hasPrefix("out.partial-") })
        try file.commit()
        #expect(folder.names == ["out"])
        #expect(folder.text("out") == "whole")
        #expect(FileFacts(at: folder.file("out"))?.mode == 0o600)
    }

    @Test("A file that is let go before it is whole leaves nothing")
    func abandoned() throws {
        let folder = try Folder()
        do {
            let file = try OutputFile(path: folder.file("out"))
            try write("half", to: file)
        }
        #expect(folder.names == [])
    }

    @Test("An existing file that is not empty is kept, unless it may be replaced")
    func existing() throws {
        let folder = try Folder()
        try folder.write("precious", to: "out")
        _ = unsafe chmod(folder.file("out"), 0o640)
        let before = FileFacts(at: folder.file("out"))
        for attempt in [
            { try OutputFile.check(folder.file("out")) },
            { _ = try OutputFile(path: folder.file("out")) },
        ] {
            let error = #expect(throws: SystemError.self) { try attempt() }
            #expect(error?.errno == .fileExists)
            #expect(error?.description.contains("--force") == true)
        }
        #expect(FileFacts(at: folder.file("out")) == before)
        do {
            let file = try OutputFile(path: folder.file("out"), mayReplace: true)
            try write("half", to: file)
        }
        #expect(folder.text("out") == "precious")
        let file = try OutputFile(path: folder.file("out"), mayReplace: true)
        try write("new", to: file)
        try file.commit()
        #expect(folder.names == ["out"])
        #expect(folder.text("out") == "new")
        #expect(FileFacts(at: folder.file("out"))?.mode == 0o640)
    }

    @Test("An empty file is a good target, unless something was written to it meanwhile")
    func empty() throws {
        let folder = try Folder()
        try folder.write("", to: "out")
        let file = try OutputFile(path: folder.file("out"))
        try write("ours", to: file)
        try file.commit()
        #expect(folder.text("out") == "ours")

        try folder.write("", to: "other")
        let late = try OutputFile(path: folder.file("other"))
        try folder.write("theirs", to: "other")
        #expect(failure(committing: late) != nil)
        #expect(folder.text("other") == "theirs")
        #expect(folder.names == ["other", "out"])
    }

    @Test("A file that somebody else makes meanwhile is not lost")
    func meanwhile() throws {
        let folder = try Folder()
        let file = try OutputFile(path: folder.file("out"))
        try folder.write("theirs", to: "out")
        #expect(failure(committing: file)?.errno == .fileExists)
        #expect(folder.text("out") == "theirs")
        #expect(folder.names == ["out"])
    }

    @Test("A symbolic link stays one, and its target is held to the same rules")
    func links() throws {
        let folder = try Folder()
        try folder.write("precious", to: "target")
        _ = unsafe symlink("target", folder.file("link"))
        #expect(throws: SystemError.self) { _ = try OutputFile(path: folder.file("link")) }
        let file = try OutputFile(path: folder.file("link"), mayReplace: true)
        try write("new", to: file)
        try file.commit()
        #expect(FileFacts(at: folder.file("link"))?.kind == .symbolicLink)
        #expect(folder.text("target") == "new")
        _ = unsafe symlink("nothing", folder.file("dangling"))
        let error = #expect(throws: SystemError.self) {
            _ = try OutputFile(path: folder.file("dangling"), mayReplace: true)
        }
        #expect(error?.description.contains("leads to nothing") == true)
        #expect(folder.names == ["dangling", "link", "target"])
    }

    @Test(
        "What is no file is refused and left", arguments: [Obstacle.folder, .foreignSocket],
        [false, true])
    func noFile(obstacle: Obstacle, mayReplace: Bool) throws {
        let folder = try Folder()
        try obstacle.make("out", in: folder)
        let before = FileFacts(at: folder.file("out"))
        let error = #expect(throws: SystemError.self) {
            _ = try OutputFile(path: folder.file("out"), mayReplace: mayReplace)
        }
        #expect(error?.kind == .file)
        #expect(FileFacts(at: folder.file("out")) == before)
        #expect(folder.names == ["out"])
    }

    @Test("A pipe is written as it is, and stays")
    func pipes() throws {
        let folder = try Folder()
        _ = unsafe mkfifo(folder.file("out"), 0o600)
        let reader = try FileDescriptor.open(
            FilePath(folder.file("out")), .readOnly, options: .nonBlocking)
        defer { try? reader.close() }
        let file = try OutputFile(path: folder.file("out"))
        let isStream = file.isStream
        #expect(isStream)
        try file.setByteCount(100)
        try write("bytes", to: file)
        try file.commit()
        #expect(SmallFile.text(of: reader) == "bytes")
        #expect(folder.names == ["out"])
    }

    @Test("A descriptor by its path is written without being opened again")
    func descriptors() throws {
        let folder = try Folder()
        try folder.write("", to: "log")
        let log = try FileDescriptor.open(
            FilePath(folder.file("log")), .writeOnly, options: .append)
        defer { try? log.close() }
        for path in ["/dev/fd/\(log.rawValue)", "/proc/self/fd/\(log.rawValue)"] {
            let file = try OutputFile(path: path)
            try write("line\n", to: file)
            try file.commit()
        }
        #expect(folder.text("log") == "line\nline\n")
        #expect(throws: SystemError.self) { _ = try OutputFile(path: "/dev/fd/987654") }
    }

    @Test("A missing folder is told before the work begins")
    func folders() throws {
        let folder = try Folder()
        for name in ["none/out", "file/out", "none/more/out"] {
            try folder.write("x", to: "file")
            let error = #expect(throws: SystemError.self) {
                try OutputFile.check(folder.file(name))
            }
            #expect(error?.description.contains("cannot write \(folder.file(name))") == true)
            #expect(throws: SystemError.self) { _ = try OutputFile(path: folder.file(name)) }
        }
        for name in ["", "\(folder.path)/", "\(folder.path)/."] {
            #expect(throws: SystemError.self) { _ = try OutputFile(path: name) }
        }
        #expect(folder.names == ["file"])
    }

    @Test("A process that ends at once takes unfinished files away, and no other")
    func leavings() async throws {
        await #expect(processExitsWith: .success) {
            let folder = try Folder()
            let unfinished = try OutputFile(path: folder.file("unfinished"))
            let whole = try OutputFile(path: folder.file("whole"))
            try whole.commit()
            let taken = try OutputFile(path: folder.file("taken"))
            let partial = folder.names.first { $0.hasPrefix("taken.") } ?? ""
            _ = unsafe unlink(folder.file(partial))
            try folder.write("theirs", to: partial)
            let listener = try Listener(on: folder.endpoint("socket"))
            Leavings.removeAll()
            let names = folder.names
            // The lock file stays for who comes next; nobody holds it then.
            precondition(names == ["socket.lock", partial, "whole"].sorted())
            withExtendedLifetime(listener) {}
            _ = consume unfinished
            _ = consume taken
        }
    }

    @Test("A long name leaves room for the letters behind it")
    func longName() throws {
        let folder = try Folder()
        let name = String(repeating: "ä", count: 127)
        let file = try OutputFile(path: folder.file(name))
        try file.commit()
        #expect(folder.names == [name])
    }
}
