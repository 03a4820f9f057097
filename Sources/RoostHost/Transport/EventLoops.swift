internal import NIOCore
internal import NIOPosix
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// The threads that SwiftNIO's connections of this process share.
enum EventLoops {
    /// What each event loop keeps open: epoll(7), an eventfd(2) and a timerfd(2).
    private static let descriptorsPerLoop = 3
    /// What connections, files and the runtime itself need beside.
    private static let otherDescriptors = 16

    private static let areMade = Mutex(false)

    /// The threads, made by the first who asks.
    ///
    /// SwiftNIO ends the process when it cannot make one, so it is asked for only where the limit on
    /// open files leaves room.
    ///
    /// - Throws: `HostError` of kind `connection`.
    static func shared() throws(HostError) -> MultiThreadedEventLoopGroup {
        try areMade.withLock { areMade throws(HostError) in
            let needed =
                NIOSingletons.groupLoopCountSuggestion * descriptorsPerLoop + otherDescriptors
            if !areMade, let shortage = DescriptorLimit.shortage(of: needed) {
                throw HostError(.connection, errno: .tooManyOpenFiles, shortage)
            }
            areMade = true
            return MultiThreadedEventLoopGroup.singleton
        }
    }
}
