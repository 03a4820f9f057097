/// How requests are laid out in a ring: as a compiler for one of two machines lays the structs of
/// Xen's `io/blkif.h` out.
public enum BlockProtocol: Sendable, Equatable, CaseIterable {
    /// 64-bit machines, x86 and Arm alike, and this one: 8-byte integers lie at multiples of 8.
    case x86_64
    /// 32-bit x86: they lie at multiples of 4.
    case x86_32

    /// What a frontend on this machine speaks.
    public static let native = BlockProtocol.x86_64

    /// Reads the value of a frontend's key `protocol` (`io/protocols.h`).
    ///
    /// It is `nil` for a protocol that is not known.
    ///
    /// - Parameter name: The value.
    public init?(name: String) {
        switch name {
        case "x86_64-abi", "arm-abi": self = .x86_64
        case "x86_32-abi": self = .x86_32
        default: return nil
        }
    }

    /// The value of the key `protocol`.
    public var name: String {
        switch self {
        case .x86_64: "x86_64-abi"
        case .x86_32: "x86_32-abi"
        }
    }
}
