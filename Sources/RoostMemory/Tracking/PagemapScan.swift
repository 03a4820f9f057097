internal import CRoost
package import SystemPackage

/// Finds the pages that a process has written, through its `/proc/PID/pagemap`.
///
/// The pages must be protected by a ``WriteProtection`` that is asynchronous, or the kernel refuses
/// (Linux Documentation/admin-guide/mm/pagemap.rst, PAGEMAP_SCAN, since 6.7).
package struct PagemapScan: ~Copyable, Sendable {
    /// Ranges that one call of the kernel answers at most: 96 KiB of them.
    static let regionsACall = 4096

    private let pagemap: FileDescriptor
    private let regions: FixedArray<croost_page_region>

    private init(_ pagemap: FileDescriptor, _ regions: consuming FixedArray<croost_page_region>) {
        self.pagemap = pagemap
        self.regions = regions
    }

    /// Prepares to scan.
    ///
    /// - Parameter pagemap: The open pagemap file, which the caller keeps open as long as it scans.
    /// - Returns: The scan.
    /// - Throws: `MemoryError` when there is no memory.
    package static func make(
        _ pagemap: FileDescriptor
    ) throws(MemoryError) -> PagemapScan {
        PagemapScan(pagemap, try FixedArray(count: regionsACall))
    }

    /// Reports the pages of a range written since the last call, and protects them again.
    ///
    /// A page that was never protected counts as written. Allocates nothing.
    ///
    /// - Parameters:
    ///   - addresses: Whole pages of the process's memory.
    ///   - body: Is called with ranges of addresses that were written, in order.
    /// - Throws: `Errno` of PAGEMAP_SCAN: `noSuchProcess` when the process has ended,
    ///   `notPermitted` when the pages are not protected asynchronously.
    package func takeWritten(
        _ addresses: Range<UInt64>, _ body: (Range<UInt64>) -> Void
    ) throws(Errno) {
        var start = addresses.lowerBound
        while start < addresses.upperBound {
            var walkEnd = start
            // SAFETY: the regions are `regions.count` entries, alive for the call.
            let found = unsafe croost_pagemap_take_written(
                pagemap.rawValue, start, addresses.upperBound, regions.base, regions.count,
                &walkEnd)
            guard found >= 0 else { throw Errno(rawValue: Int32(-found)) }
            for index in 0..<Int(found) {
                let region = regions[index]
                body(region.start..<region.end)
            }
            // The kernel walked on, or its regions are full: it never answers neither.
            guard walkEnd > start else { throw .ioError }
            start = walkEnd
        }
    }
}
