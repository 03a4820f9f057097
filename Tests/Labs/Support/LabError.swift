/// A laboratory that cannot go on, with what its reader needs to see.
package struct LabError: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
