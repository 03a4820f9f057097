internal import RoostBlock

/// A disk as nbdkit's threads use it.
///
/// Each call blocks its thread until it is done, and many threads call at once. Offsets and lengths
/// are multiples of the disk's logical sector, inside the disk.
protocol PluginDisk: AnyObject, Sendable {
    /// What the disk is; it does not change.
    var geometry: DiskGeometry { get }

    /// Reads bytes.
    func read(at offset: UInt64, into bytes: inout MutableRawSpan) throws(BlockError)

    /// Writes bytes.
    func write(_ bytes: RawSpan, at offset: UInt64) throws(BlockError)

    /// Makes durable what was written before.
    func flush() throws(BlockError)

    /// Gives bytes up.
    func discard(_ range: Range<UInt64>) throws(BlockError)

    /// Lets the disk go, after the last call.
    func close()
}
