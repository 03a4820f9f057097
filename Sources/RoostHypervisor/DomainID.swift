/// The number by which a hypervisor knows one of its domains.
///
/// Domain 0 is the privileged one; ordinary ones lie below 0x7ff0 (xen.h: `DOMID_FIRST_RESERVED`).
public struct DomainID: RawRepresentable, Hashable, Comparable, Sendable {
    /// The number.
    public let rawValue: UInt16

    /// Names a domain by its number.
    public init(rawValue: UInt16) {
        self.rawValue = rawValue
    }

    /// The privileged domain.
    public static let privileged = DomainID(rawValue: 0)

    /// The first number that no domain has (xen.h: `DOMID_FIRST_RESERVED`).
    public static let firstReserved = DomainID(rawValue: 0x7ff0)

    /// Orders domains by their numbers.
    public static func < (left: DomainID, right: DomainID) -> Bool {
        left.rawValue < right.rawValue
    }
}

extension DomainID: CustomStringConvertible {
    /// The number in decimal, as paths of the store have it.
    public var description: String { "\(rawValue)" }
}
