internal import RoostMemory
package import RoostSystem
internal import SystemPackage

/// A further connection of the source.
extension MigrationRelay {
    /// How long a further connection may take to say what it is; QEMU says it at once.
    private static let channelLimit = Duration.seconds(5)

    /// Looks at a further connection that the source opened while its stream is carried.
    ///
    /// With multifd a source sends its pages on channels beside the stream. Nothing in the stream
    /// itself need tell (before QEMU 8.1 nothing does), and to the source a channel that is refused
    /// is just a connection that failed. So the channel is accepted, and ends the move with its
    /// name. Any other connection is closed, and the move goes on.
    ///
    /// - Parameter socket: The connection.
    package func look(at socket: StreamSocket) async {
        let ending = ending
        _ = await MigrationThread.run("roost-channel") { () throws(MigrationError) in
            defer { socket.shutdown(.both) }
            let deadline = ContinuousClock.now + Self.channelLimit
            var input = ByteQueue(capacity: 64)
            while input.count < 4 {
                guard ending.wait(for: .input, of: socket, until: deadline) == .this,
                    let count = try? input.fill(from: socket.descriptor), count > 0
                else { return }
            }
            let magic = input.bytes.loadBigEndian(at: 0, as: UInt32.self)
            if magic == StreamFormat.multifdMagic { ending.fail(Self.multifdError) }
        }
    }

    static var multifdError: MigrationError {
        MigrationError(
            .unsupported,
            "the source sends the guest with multifd, whose pages travel on connections beside the "
                + "stream: turn multifd off at both QEMUs (migrate_set_capability multifd off)")
    }
}
