internal import RoostSystem
internal import SystemPackage

/// A descriptor that came with a message, closed with its last reference.
final class PassedDescriptor: Sendable {
    private let owned: OwnedDescriptor

    var descriptor: FileDescriptor { owned.descriptor }

    init(_ owned: consuming OwnedDescriptor) {
        self.owned = owned
    }

    /// Another descriptor of the same file.
    func duplicated() throws(Errno) -> OwnedDescriptor {
        do {
            return OwnedDescriptor(try descriptor.duplicate())
        } catch {
            throw (error as? Errno) ?? .badFileDescriptor
        }
    }
}
