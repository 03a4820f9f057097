import CPeers
import Foundation
import SystemPackage
import Workloads

/// A process that loads one stream from a unix socket and closes the connection once it has.
protocol Loader {
    /// What the table calls it.
    var name: String { get }

    /// Starts a process that listens at the path.
    func start(listeningAt path: String, in folder: String) throws -> any LoaderProcess
}

/// A loader's process, which is ended with ``stop()``.
protocol LoaderProcess {
    /// Checks that the stream was loaded, and with `pages` that every page is as sent.
    func check(pages: inout GuestPages, fully: Bool) throws
    func stop()
}

/// Times a loader once, from the connection to its end.
func turn(
    _ loader: any Loader, _ stream: borrowing RAMStream, _ pages: inout GuestPages, fully: Bool
) throws -> Duration {
    try withFolder { folder in
        let process = try loader.start(listeningAt: "\(folder)/stream", in: folder)
        defer { process.stop() }
        let start = ContinuousClock.now
        let socket = try unsafe checked(cpeers_connect("\(folder)/stream"), "connect")
        let result = stream.send(to: socket)
        let duration = start.duration(to: .now)
        try? FileDescriptor(rawValue: socket).close()
        _ = try checked(result, "send the stream to \(loader.name)")
        try process.check(pages: &pages, fully: fully)
        return duration
    }
}
