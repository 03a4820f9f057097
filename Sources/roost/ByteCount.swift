import ArgumentParser
import RoostSystem

/// A number of bytes on the command line: `4096`, `10M`, `10MiB` and `10m` alike.
struct ByteCount: ExpressibleByArgument {
    let bytes: UInt64

    init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    init?(argument: String) {
        guard let bytes = ByteSize.bytes(argument) else { return nil }
        self.bytes = bytes
    }

    /// The number in the largest unit that it is a whole number of.
    var defaultValueDescription: String { ByteSize.text(bytes) }
}
