internal import RoostBlock
internal import RoostMemory

/// A disk in the memory of nbdkit's process (`disk=ram:SIZE`), to try clients with.
final class MemoryDisk: PluginDisk {
    let geometry: DiskGeometry
    private let window: PageWindow

    /// Makes a disk of zeros.
    ///
    /// - Parameter byteCount: Its length, a multiple of 512.
    /// - Throws: `BlockError` of kind `image` when there are too few addresses.
    init(byteCount: UInt64) throws(BlockError) {
        let pageCount = Int(byteCount / UInt64(pageByteCount)) + 1
        do throws(MemoryError) {
            window = try PageWindow(pageCount: pageCount)
            try window.mapAnonymous(count: pageCount, at: 0)
        } catch {
            throw BlockError(.image, errno: error.errno, error.description)
        }
        geometry = DiskGeometry(sectorCount: byteCount / UInt64(sectorByteCount))
    }

    func read(at offset: UInt64, into bytes: inout MutableRawSpan) {
        window.copy(from: Int(offset), into: &bytes)
    }

    func write(_ bytes: RawSpan, at offset: UInt64) {
        window.copy(bytes, to: Int(offset))
    }

    func flush() {}

    func discard(_ range: Range<UInt64>) {
        window.zero(count: range.count, at: Int(range.lowerBound))
    }

    func close() {}
}
