internal import CRoost
package import SystemPackage

/// What a terminal tells of itself.
package enum Terminal {
    /// The columns of a terminal.
    ///
    /// - Parameter descriptor: The terminal.
    /// - Returns: The columns, 0 where it does not tell or is none.
    package static func columns(_ descriptor: FileDescriptor) -> Int {
        max(0, Int(croost_terminal_columns(descriptor.rawValue)))
    }
}
