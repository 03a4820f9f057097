extension StorePermissions {
    /// The permissions as the store's messages have them: `n0`, `r7`, each with a NUL behind it.
    package var payload: [UInt8] {
        var bytes = [UInt8](terminated: "\(others.rawValue)\(owner)")
        for entry in listed {
            bytes.append(terminated: "\(entry.access.rawValue)\(entry.domain)")
        }
        return bytes
    }

    /// Reads permissions from the parts of a message.
    ///
    /// - Returns: `nil` when there is none, or one is not a letter and a domain's number.
    package init?(parts: some Sequence<ArraySlice<UInt8>>) {
        var entries: [Entry] = []
        for part in parts {
            guard let entry = Entry(part) else { return nil }
            entries.append(entry)
        }
        guard let first = entries.first else { return nil }
        self.init(
            owner: first.domain, others: first.access, listed: Array(entries.dropFirst()))
    }

    /// Whether a domain may read (or write).
    func allows(_ wanted: Access, to domain: DomainID) -> Bool {
        if domain == owner { return true }
        let access = listed.first { $0.domain == domain }?.access ?? others
        return access == .both || access == wanted
    }

    /// What is left of the permissions when a domain is no more: the privileged one takes its
    /// nodes over, shut to everybody else that is not listed, so that a later domain of the same
    /// number gets nothing.
    ///
    /// - Returns: `nil` when the domain is not mentioned.
    func without(_ domain: DomainID) -> StorePermissions? {
        var left = self
        left.listed.removeAll { $0.domain == domain }
        if owner == domain {
            left.owner = .privileged
            left.others = .none
        }
        return left == self ? nil : left
    }

    /// Whether a domain owns the node or is listed.
    func mentions(_ domain: DomainID) -> Bool {
        owner == domain || listed.contains { $0.domain == domain }
    }
}

extension StorePermissions.Entry {
    /// Reads an entry such as `r7`.
    init?(_ bytes: ArraySlice<UInt8>) {
        guard let letter = bytes.first,
            let access = StorePermissions.Access(rawValue: Character(Unicode.Scalar(letter))),
            let number = UInt16(decimal: bytes.dropFirst())
        else { return nil }
        self.init(access, DomainID(rawValue: number))
    }
}

extension FixedWidthInteger {
    /// Reads digits and nothing else: no sign, no space.
    package init?(decimal bytes: some Collection<UInt8>) {
        guard !bytes.isEmpty else { return nil }
        var value: Self = 0
        for byte in bytes {
            guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
            let (shifted, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = shifted.addingReportingOverflow(Self(byte - UInt8(ascii: "0")))
            guard !overflow, !carry else { return nil }
            value = sum
        }
        self = value
    }
}
