internal import Glibc
internal import NIOCore
internal import NIOPosix
internal import RoostSystem
internal import SystemPackage

/// A connection of a control socket, at either end, on NIO's threads.
enum ControlSocket {
    /// Puts a connection on an event loop.
    ///
    /// - Parameters:
    ///   - socket: The connection; NIO gets a descriptor of its own.
    ///   - initializer: Adds the handlers.
    /// - Returns: What the initializer made.
    /// - Throws: What NIO throws, or `Errno` of fcntl(2).
    static func channel<Output: Sendable>(
        over socket: StreamSocket,
        _ initializer: @escaping @Sendable (any Channel) -> EventLoopFuture<Output>
    ) async throws -> Output {
        let copy = fcntl(socket.descriptor.rawValue, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw Errno(rawValue: errno) }
        return try await ClientBootstrap(group: EventLoops.shared())
            .channelOption(.allowRemoteHalfClosure, value: true)
            .withConnectedSocket(copy, channelInitializer: initializer)
    }
}
