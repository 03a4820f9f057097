package import SystemPackage

/// A descriptor with one owner, closed when the value ends.
package struct OwnedDescriptor: ~Copyable, Sendable {
    /// The descriptor, to be used while this value lives and never closed by its user.
    package let descriptor: FileDescriptor

    /// Takes a descriptor over: from now on nobody else closes it.
    package init(_ descriptor: FileDescriptor) {
        self.descriptor = descriptor
    }

    /// Gives the descriptor up without closing it: the caller closes it from now on.
    package consuming func release() -> FileDescriptor {
        let released = descriptor
        discard self
        return released
    }

    deinit {
        // close(2) lets the descriptor go even where it reports a failure.
        try? descriptor.close()
    }
}
