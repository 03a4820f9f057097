internal import RoostMemory
internal import RoostSystem

/// A stream's writer with the file its bytes go to.
struct StreamSink: ~Copyable {
    var writer = StreamWriter(capacity: 1 << 20)
    private let file: OutputFile
    private var byteCount: UInt64 = 0

    init(file: consuming OutputFile) {
        self.file = file
    }

    /// Writes out what waits when the next item might not fit.
    mutating func makeRoom() throws(MigrationError) {
        if !writer.hasRoom { try flush() }
    }

    mutating func blocks(_ list: [RAMBlockDescription]) throws(MigrationError) {
        try flush()
        var written: UInt64 = 0
        try writer.blocks(list) { (queue: inout ByteQueue) throws(MigrationError) in
            written += UInt64(queue.count)
            try file.write(&queue)
        }
        byteCount += written
        try makeRoom()
    }

    mutating func opaque(_ bytes: RawSpan) throws(MigrationError) {
        var written: UInt64 = 0
        try writer.opaque(bytes) { (queue: inout ByteQueue) throws(MigrationError) in
            written += UInt64(queue.count)
            try file.write(&queue)
        }
        byteCount += written
        try makeRoom()
    }

    private mutating func flush() throws(MigrationError) {
        byteCount += UInt64(writer.output.count)
        try file.write(&writer.output)
    }

    /// Writes out everything and gives the file its name.
    ///
    /// - Returns: The stream's length in bytes.
    consuming func commit() throws(MigrationError) -> UInt64 {
        try flush()
        let total = byteCount
        try file.finish()
        return total
    }
}
