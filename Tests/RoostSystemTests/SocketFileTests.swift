import Glibc
import RoostSystem
import SystemPackage
import Testing

/// What may be at a path that somebody is told to listen on.
enum Obstacle: String, CaseIterable, Sendable {
    case file, emptyFile, folder, link, danglingLink, pipe, foreignSocket, linkToSocket

    func make(_ name: String, in folder: Folder) throws {
        switch self {
        case .file: try folder.write("precious", to: name)
        case .emptyFile: try folder.write("", to: name)
        case .folder: _ = unsafe mkdir(folder.file(name), 0o700)
        case .link:
            try folder.write("precious", to: "target")
            _ = unsafe symlink(folder.file("target"), folder.file(name))
        case .danglingLink: _ = unsafe symlink(folder.file("nothing"), folder.file(name))
        case .pipe: _ = unsafe mkfifo(folder.file(name), 0o600)
        case .foreignSocket: try folder.bindForeignSocket(name)
        case .linkToSocket:
            try folder.bindForeignSocket("target")
            _ = unsafe symlink(folder.file("target"), folder.file(name))
        }
    }
}

@Suite(.timeLimit(.minutes(1))) struct SocketFileTests {
    @Test(
        "What Roost did not make is left as it is, whatever it is", arguments: Obstacle.allCases)
    func obstacles(obstacle: Obstacle) throws {
        let folder = try Folder()
        try obstacle.make("a", in: folder)
        let before = FileFacts(at: folder.file("a"))
        let names = folder.names
        let error = #expect(throws: SystemError.self) { try Listener(on: folder.endpoint("a")) }
        #expect(error?.kind == .listen)
        #expect(error?.errno == .fileExists)
        #expect(error?.description.contains("\(folder.file("a")): a") == true)
        #expect(before != nil && FileFacts(at: folder.file("a")) == before)
        #expect(folder.names == names)
    }

    @Test("A socket that somebody of Roost listens on is refused, and its process named")
    func living() throws {
        let folder = try Folder()
        let first = try Listener(on: folder.endpoint("a"))
        let error = #expect(throws: SystemError.self) { try Listener(on: folder.endpoint("a")) }
        #expect(error?.errno == .addressInUse)
        #expect(error?.description.contains("process \(getpid()) listens there already") == true)
        #expect(Listener.isListening(at: folder.file("a")))
        #expect(Listener.process(at: folder.file("a")) == getpid())
        // Nobody found that out by connecting: there is no connection to take.
        let none = #expect(throws: SystemError.self) { try first.accept(timeout: .zero) }
        #expect(none?.kind == .timeout)
        first.stop()
        #expect(!Listener.isListening(at: folder.file("a")))
        #expect(folder.names == [])
    }

    @Test("A socket of ours that a process left behind is replaced")
    func stale() throws {
        let folder = try Folder()
        for _ in 0..<2 {
            try leaveBehind(in: folder)
            #expect(folder.names == ["a", "a.lock"])
            #expect(!Listener.isListening(at: folder.file("a")))
            let listener = try Listener(on: folder.endpoint("a"))
            #expect(throws: Never.self) { try StreamSocket.connect(to: listener.endpoint) }
            listener.stop()
            #expect(folder.names == [])
        }
    }

    /// What a killed process leaves: its socket and its lock file, which nobody holds.
    private func leaveBehind(in folder: Folder) throws {
        let listener = try Listener(on: folder.endpoint("a"))
        _ = unsafe rename(folder.file("a"), folder.file("kept"))
        _ = unsafe rename(folder.file("a.lock"), folder.file("kept.lock"))
        listener.stop()
        _ = unsafe rename(folder.file("kept"), folder.file("a"))
        _ = unsafe rename(folder.file("kept.lock"), folder.file("a.lock"))
    }

    @Test("Another program's socket beside a lock file of ours is left alone")
    func replacedSocket() throws {
        let folder = try Folder()
        try leaveBehind(in: folder)
        // The old one keeps its inode meanwhile, so that the new one gets another.
        _ = unsafe rename(folder.file("a"), folder.file("old"))
        try folder.bindForeignSocket("a")
        let before = FileFacts(at: folder.file("a"))
        let error = #expect(throws: SystemError.self) { try Listener(on: folder.endpoint("a")) }
        #expect(error?.description.contains("a socket that Roost did not make") == true)
        #expect(FileFacts(at: folder.file("a")) == before)
    }

    @Test(
        "A lock file that Roost did not make keeps the path from it, and stays",
        arguments: [Obstacle.file, .folder, .link, .danglingLink, .pipe, .foreignSocket])
    func foreignLocks(obstacle: Obstacle) throws {
        let folder = try Folder()
        try obstacle.make("a.lock", in: folder)
        let names = folder.names
        let before = FileFacts(at: folder.file("a.lock"))
        let error = #expect(throws: SystemError.self) { try Listener(on: folder.endpoint("a")) }
        #expect(error?.description.contains("a.lock") == true)
        #expect(folder.names == names)
        #expect(FileFacts(at: folder.file("a.lock")) == before)
    }

    @Test("An empty lock file makes a socket ours, and stays")
    func emptyLock() throws {
        let folder = try Folder()
        try folder.write("", to: "a.lock")
        try folder.bindForeignSocket("a")
        let listener = try Listener(on: folder.endpoint("a"))
        listener.stop()
        #expect(folder.names == ["a.lock"])
    }

    @Test("Of many that begin to listen at a path at once, one does")
    func race() async throws {
        let folder = try Folder()
        let endpoint = folder.endpoint("a")
        try leaveBehind(in: folder)
        let outcomes = try await withThrowingTaskGroup(of: Listener?.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    try await DedicatedThread.run(name: "listen") { try? Listener(on: endpoint) }
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let listeners = outcomes.compactMap(\.self)
        #expect(listeners.count == 1)
        #expect(throws: Never.self) { try StreamSocket.connect(to: endpoint) }
        for listener in listeners { listener.stop() }
        #expect(folder.names == [])
    }

    @Test("A folder that is not there, or not ours, is named as the reason")
    func folders() throws {
        let folder = try Folder()
        let error = #expect(throws: SystemError.self) {
            try Listener(on: .unix(path: folder.file("none/a")))
        }
        #expect(error?.description.contains("its folder is not there") == true)
        #expect(folder.names == [])
    }
}
