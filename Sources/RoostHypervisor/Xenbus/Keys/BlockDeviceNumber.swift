/// The number by which a guest and the store know a virtual disk
/// (`xen/docs/man/xen-vbd-interface.7`).
///
///     disks 0...15, partitions 0...15     202 << 8 | disk << 4 | partition
///     beyond                              1 << 28 | disk << 8 | partition
///
/// So `xvda` is 51712, `xvdb` 51728 and `xvdq` 268439552.
public struct BlockDeviceNumber: RawRepresentable, Hashable, Sendable {
    /// The number as it stands in the store.
    public let rawValue: UInt32

    /// The disks of the extended form: 20 bits.
    public static let diskLimit = 1 << 20
    /// The partitions of the extended form, the whole disk included.
    public static let partitionLimit = 256

    /// Takes a number as it stands in the store.
    ///
    /// Answers `nil` for one that is no `xvd` disk's.
    public init?(rawValue: UInt32) {
        guard rawValue >> 8 == 202 || rawValue >> 28 == 1 else { return nil }
        self.rawValue = rawValue
    }

    /// Numbers a disk, or a partition of it.
    ///
    /// - Parameters:
    ///   - disk: 0 for `xvda`.
    ///   - partition: 0 for the whole disk.
    /// - Precondition: They are below 1,048,576 and 256.
    public init(disk: Int, partition: Int = 0) {
        precondition((0..<Self.diskLimit).contains(disk))
        precondition((0..<Self.partitionLimit).contains(partition))
        rawValue =
            disk < 16 && partition < 16
            ? UInt32(202 << 8 | disk << 4 | partition)
            : UInt32(1 << 28 | disk << 8 | partition)
    }

    /// Reads a name such as `xvda` or `xvdaa3`.
    ///
    /// - Throws: `HypervisorError` of kind `malformed`.
    public init(name: String) throws(HypervisorError) {
        guard let number = Self.number(of: name) else {
            throw HypervisorError(
                .malformed,
                "'\(name.prefix(80))' names no virtual disk: write xvd, letters for the disk and "
                    + "digits for a partition, as in xvda or xvdb1")
        }
        self = number
    }

    private static func number(of name: String) -> BlockDeviceNumber? {
        guard name.hasPrefix("xvd") else { return nil }
        let rest = name.utf8.dropFirst(3)
        let letters = rest.prefix { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") }
        let digits = rest.dropFirst(letters.count)
        guard !letters.isEmpty, letters.count <= 5, digits.first != UInt8(ascii: "0") else {
            return nil
        }
        // Letters count a to z, aa to az and so on: digits from 1 to 26.
        let disk = letters.reduce(0) { $0 * 26 + Int($1 - UInt8(ascii: "a")) + 1 } - 1
        let partition = digits.isEmpty ? 0 : Int(decimal: digits)
        guard let partition, disk < diskLimit, partition < partitionLimit else { return nil }
        return BlockDeviceNumber(disk: disk, partition: partition)
    }

    /// 0 for `xvda`.
    public var disk: Int {
        Int(rawValue >> 28 == 1 ? rawValue >> 8 & 0xf_ffff : rawValue >> 4 & 0xf)
    }

    /// 0 for the whole disk.
    public var partition: Int {
        Int(rawValue & (rawValue >> 28 == 1 ? 0xff : 0xf))
    }

    /// The name that Linux gives the disk.
    public var name: String {
        var letters: [Character] = []
        var rest = disk + 1
        while rest > 0 {
            rest -= 1
            letters.append(Character(Unicode.Scalar(UInt8(ascii: "a") + UInt8(rest % 26))))
            rest /= 26
        }
        return "xvd" + String(letters.reversed()) + (partition == 0 ? "" : "\(partition)")
    }
}

extension BlockDeviceNumber: CustomStringConvertible {
    /// The number in decimal, as paths of the store have it.
    public var description: String { "\(rawValue)" }
}
