/// Whose habits are kept where two generations of QEMU differ.
///
/// Page records are the same in both. What differs:
///
/// | | `qemu2015` (2.1 to 2.4) | `qemu72` |
/// | --- | --- | --- |
/// | auto-converge's sign of trouble | dirtied more than half of what was sent | `throttle-trigger-threshold` percent |
/// | auto-converge acts on | the third strike | the second strike |
/// | XBZRLE's `pages` | deltas sent | every hit of the cache |
/// | XBZRLE's `bytes` | whole records | without the record's word; 4,096 for an overflow |
/// | a zlib page that cannot be decoded | waits to be sent again | ends the migration |
public enum MigrationDialect: String, Sendable, CaseIterable {
    /// QEMU of 2015.
    case qemu2015
    /// QEMU 7.2, of December 2022.
    case qemu72

    /// What is used unless something else is asked for: ``qemu72``.
    public static let standard = MigrationDialect.qemu72
}
