import Logging
import RoostHost
import Synchronization
import Testing

@Suite struct ConsoleLogHandlerTests {
    private final class Lines: Sendable {
        let all = Mutex<[String]>([])
    }

    private func logged(
        at level: Logger.Level, _ body: (inout Logger) -> Void
    ) -> [String] {
        let lines = Lines()
        var logger = Logger(label: "test") { _ in
            ConsoleLogHandler(level: level) { line in lines.all.withLock { $0.append(line) } }
        }
        body(&logger)
        return lines.all.withLock { $0 }
    }

    @Test("a line is time, level and message, without what only machines need")
    func line() throws {
        let lines = logged(at: .info) { logger in
            logger[metadataKey: "request"] = "17"
            logger.warning("disk web1: lost", metadata: ["tracker": "shadow"])
            logger.debug("not this")
        }
        try #require(lines.count == 1)
        #expect(lines[0].hasSuffix("Z warning: disk web1: lost\n"))
    }

    @Test("the error that a message comes with is told, and all facts to who looks closely")
    func facts() throws {
        let lines = logged(at: .debug) { logger in
            logger[metadataKey: "request"] = "17"
            logger.error("service failed", metadata: ["error": "no socket"])
            logger.debug("step")
        }
        try #require(lines.count == 2)
        #expect(lines[0].hasSuffix(" error: service failed (no socket)\n"))
        #expect(lines[1].hasSuffix(" debug: step (request 17)\n"))
    }
}
