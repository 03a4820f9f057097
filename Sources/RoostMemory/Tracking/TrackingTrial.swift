package import SystemPackage

/// Tries on a page of this process what is done to a guest's memory to find the pages it writes.
///
/// Nothing is left behind.
package enum TrackingTrial {
    /// What the kernel refused, of protecting a page asynchronously and asking whether it was written.
    package struct Asynchronous: Equatable, Sendable {
        /// The reason of userfaultfd(2), UFFDIO_API or UFFDIO_REGISTER; `nil` when it works.
        package var protection: Errno?
        /// The reason of PAGEMAP_SCAN; `nil` when it works.
        package var scan: Errno?
    }

    /// Protects a page asynchronously, writes it and asks which pages were written.
    package static func asynchronous() -> Asynchronous {
        var trial = Asynchronous()
        do throws(Errno) {
            let protection = try WriteProtection.open(.asynchronous)
            var memory = try page()
            let addresses = memory.addresses
            try protection.register(addresses)
            trial.scan = scan(addresses) {
                var bytes = memory.mutableBytes
                bytes.storeBytes(of: 1, toByteOffset: 0, as: UInt8.self)
            }
            try protection.unregister(addresses)
        } catch {
            trial.protection = error
            // It cannot be tried on a page that is not protected.
            trial.scan = .noFunction
        }
        return trial
    }

    /// Protects a page so that who writes it waits.
    ///
    /// - Returns: What the kernel refused it for; `nil` when it works.
    package static func synchronous() -> Errno? {
        do throws(Errno) {
            let protection = try WriteProtection.open(.synchronous)
            let memory = try page()
            try protection.register(memory.addresses)
            try protection.unregister(memory.addresses)
            return nil
        } catch {
            return error
        }
    }

    private static func page() throws(Errno) -> MappedRegion {
        do throws(MemoryError) {
            return try MappedRegion.memoryFile(name: "trial", byteCount: pageByteCount)
        } catch {
            throw error.errno ?? .noMemory
        }
    }

    private static func scan(_ addresses: Range<UInt64>, _ write: () -> Void) -> Errno? {
        let pagemap: FileDescriptor
        do {
            pagemap = try FileDescriptor.open(
                FilePath("/proc/self/pagemap"), .readOnly, options: .closeOnExec)
        } catch {
            return error as? Errno ?? .ioError
        }
        defer { try? pagemap.close() }
        guard let scan = try? PagemapScan.make(pagemap) else { return .noMemory }
        var written = 0
        do throws(Errno) {
            try scan.takeWritten(addresses) { _ in }
            write()
            try scan.takeWritten(addresses) { written += $0.count }
        } catch {
            return error
        }
        // A kernel that does not see the write would lose pages.
        return written == addresses.count ? nil : .ioError
    }
}
