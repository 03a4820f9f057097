import Glibc
import RoostSystem
import SystemPackage
import Testing

@Suite(.timeLimit(.minutes(1))) struct ChildProgramTests {
    private func shell(
        _ script: String, listening: FileDescriptor? = nil, until stop: StopSignal? = nil,
        started: (Int32) -> Void = { _ in }
    ) throws -> Int32 {
        try ChildProgram.run(
            "sh", ["-c", script], listening: listening, until: try stop ?? StopSignal(),
            started: started)
    }

    @Test(
        "A program's status is what a shell says", arguments: [("exit 7", 7), ("kill -9 $$", 137)])
    func status(script: String, status: Int32) throws {
        #expect(try shell(script) == status)
    }

    @Test("A program that is not there is told in one sentence")
    func missing() throws {
        let stop = try StopSignal()
        let error = #expect(throws: SystemError.self) {
            try ChildProgram.run("no-such-program-of-roost", [], until: stop)
        }
        #expect(error?.errno == .noSuchFileOrDirectory)
        #expect(error?.description.contains("install it") == true)
    }

    @Test("What a program writes is taken, from both outputs, and its status")
    func output() throws {
        let said = try ChildProgram.output(
            of: "sh", ["-c", "echo one; echo two >&2; exit 3"], within: .seconds(60))
        #expect(said.text == "one\ntwo\n")
        #expect(said.status == 3)
    }

    @Test("A program that does not end in time is killed")
    func late() throws {
        let said = try ChildProgram.output(
            of: "sh", ["-c", "echo one; exec sleep 1000"], within: .milliseconds(300))
        #expect(said.status == 137)
    }

    @Test("A program that writes without end is cut short")
    func endless() throws {
        let said = try ChildProgram.output(
            of: "sh", ["-c", "while :; do echo yes; done"], within: .seconds(60))
        #expect(said.text.utf8.count >= 64 << 10 && said.text.utf8.count < 128 << 10)
        #expect(said.status != 0)
    }

    @Test("A program whose output is taken and that is not there is told in one sentence")
    func missingOutput() {
        let error = #expect(throws: SystemError.self) {
            try ChildProgram.output(of: "no-such-program-of-roost", [], within: .seconds(60))
        }
        #expect(error?.errno == .noSuchFileOrDirectory)
    }

    @Test("A socket is passed as descriptor 3, with what tells of it")
    func activation() throws {
        let folder = try Folder()
        let listener = try Listener(on: folder.endpoint("a"))
        let script = """
            test "$LISTEN_PID" = $$ && test "$LISTEN_FDS" = 1 && test -S /proc/self/fd/3 \
            && ! test -e /proc/$$/fd/4
            """
        #expect(try shell(script, listening: listener.descriptor) == 0)
        #expect(try shell("test -z \"$LISTEN_PID\" && ! test -e /proc/$$/fd/3") == 0)
    }

    @Test(
        "A program that is to end is asked first, and killed when it does not",
        arguments: [("trap 'exit 5' TERM; ", Int32(5)), ("trap '' TERM; ", 137)])
    func stopping(trap: String, status: Int32) throws {
        let folder = try Folder()
        _ = unsafe mkfifo(folder.file("ready"), 0o600)
        let ready = try FileDescriptor.open(FilePath(folder.file("ready")), .readWrite)
        defer { try? ready.close() }
        let stop = try StopSignal()
        // The script says that its trap is set before it waits.
        let failure = DedicatedThread.start(name: "stop") {
            var byte: UInt8 = 0
            _ = unsafe read(ready.rawValue, &byte, 1)
            stop.raise()
        }
        #expect(failure == nil)
        let wait = "while :; do read line < \(folder.file("none")) || :; done"
        let script = "\(trap)echo > \(folder.file("ready")); \(wait)"
        _ = unsafe mkfifo(folder.file("none"), 0o600)
        let open = try FileDescriptor.open(FilePath(folder.file("none")), .readWrite)
        defer { try? open.close() }
        #expect(try shell(script, until: stop) == status)
    }

    @Test("A child is killed with the thread that started it")
    func orphan() async throws {
        let folder = try Folder()
        _ = unsafe mkfifo(folder.file("hold"), 0o600)
        let outcome = await #expect(
            processExitsWith: .success, observing: [\.standardOutputContent]
        ) { [path = folder.path as String] in
            let stop = try StopSignal()
            _ = DedicatedThread.start(name: "child") {
                _ = try? ChildProgram.run(
                    "sh", ["-c", "exec 9<>\(path)/hold; read line <&9"], until: stop
                ) { child in
                    print(child)
                    fflush(nil)
                    exit(0)
                }
            }
            while true { pause() }
        }
        let text = String(decoding: outcome?.standardOutputContent ?? [], as: UTF8.self)
        let child = try #require(Int32(text.split(separator: "\n").last ?? ""))
        // Ended, or about to be, whatever it waits for.
        let handle = try? ProcessHandle(child)
        #expect(handle?.waitForEnd(within: .seconds(30)) ?? true)
    }
}
