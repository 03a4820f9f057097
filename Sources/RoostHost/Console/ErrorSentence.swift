internal import FoundationEssentials
internal import NIOCore
internal import RoostBlock
internal import RoostGuest
internal import RoostHypervisor
internal import RoostMemory
internal import RoostMigration
internal import RoostRouter
internal import RoostSystem
internal import SystemPackage

/// Any error as a sentence for a person.
public enum ErrorSentence {
    /// What an error says.
    ///
    /// - Parameter error: The error; it may quote what a stream or a peer sent.
    /// - Returns: Its sentence, in one line; never a Swift value's own description.
    public static func of(_ error: any Error) -> String {
        PlainText.of(own(error) ?? foreign(error) ?? unknown(error))
    }

    /// The sentence of an error of this package.
    private static func own(_ error: any Error) -> String? {
        switch error {
        case let error as MigrationError: error.description
        case let error as BlockError: error.description
        case let error as HypervisorError: error.description
        case let error as HostError: error.description
        case let error as RouterError: error.description
        case let error as SystemError: error.description
        case let error as GuestError: error.description
        case let error as MemoryError: error.description
        case let error as ControlRefusal: error.description
        default: nil
        }
    }

    /// The sentence of an error of a library that has one.
    private static func foreign(_ error: any Error) -> String? {
        switch error {
        case let error as Errno: error.description
        case let error as IOError: error.description
        case let error as any LocalizedError: error.errorDescription
        case is CancellationError: "it was stopped before its end"
        default: nil
        }
    }

    private static func unknown(_ error: any Error) -> String {
        "it failed for a reason that roost does not know (\(type(of: error))); please report it "
            + "with the command that you gave"
    }
}
