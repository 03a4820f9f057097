import Synchronization

/// A line that tells how something goes on: drawn over on a terminal, plain lines elsewhere.
///
/// Any thread may show it.
final class LiveLine: Sendable {
    private struct State {
        var shown: ContinuousClock.Instant?
        var isDrawn = false
    }

    private let interval: Duration
    private let state = Mutex(State())

    /// Makes a line.
    ///
    /// - Parameter plainInterval: How often to write it where there is no terminal.
    init(plainInterval: Duration) {
        interval = Console.isTerminal ? .milliseconds(200) : plainInterval
    }

    /// Shows a text, unless the last one is too fresh.
    func show(_ text: () -> String) {
        state.withLock { state in
            let now = ContinuousClock.now
            if let shown = state.shown, now - shown < interval { return }
            state.shown = now
            if Console.isTerminal {
                state.isDrawn = true
                Console.draw(text())
            } else {
                Console.note(text())
            }
        }
    }

    /// Takes the line away from the terminal.
    func end() {
        if state.withLock({ $0.isDrawn }) { Console.draw("") }
    }
}
