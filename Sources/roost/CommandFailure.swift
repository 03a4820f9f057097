/// A failure with a sentence of its own.
struct CommandFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = Console.plain(description)
    }
}
