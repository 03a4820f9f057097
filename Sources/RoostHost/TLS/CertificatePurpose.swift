internal import NIOSSL

/// Which end of a connection a certificate is shown at.
enum CertificateRole: String, Sendable {
    /// The end that connects.
    case client
    /// The end that listens.
    case server

    /// The purpose that a certificate needs for it, by its name and its identifier
    /// (RFC 5280, section 4.2.1.12).
    var purpose: (name: String, identifier: [UInt8]) {
        switch self {
        case .client: ("clientAuth", [0x2b, 6, 1, 5, 5, 7, 3, 2])
        case .server: ("serverAuth", [0x2b, 6, 1, 5, 5, 7, 3, 1])
        }
    }
}

/// What a certificate says of its own use: the part that TLS checks and does not report.
struct CertificatePurpose {
    /// `anyExtendedKeyUsage`.
    private static let anyPurpose: [UInt8] = [0x55, 0x1d, 0x25, 0]

    /// The identifiers of `extendedKeyUsage`; `nil` where the certificate has none, and is for all.
    private var purposes: [[UInt8]]?
    /// The first bits of `keyUsage`; `nil` where the certificate has none.
    private var usage: UInt8?

    /// Reads a certificate's extensions; one that cannot be read says nothing.
    init(of certificate: NIOSSLCertificate) {
        guard let bytes = try? certificate.toDERBytes() else { return }
        var outer = DERReader(bytes[...])
        guard var whole = outer.next(0x30), var signed = whole.next(0x30) else { return }
        // The extensions are the last field, [3].
        while let field = signed.next() {
            guard field.tag == 0xa3 else { continue }
            var wrapper = field.content
            guard var list = wrapper.next(0x30) else { return }
            while let item = list.next(0x30) { take(item) }
        }
    }

    private mutating func take(_ item: DERReader) {
        var item = item
        guard let identifier = item.next(6) else { return }
        var value: DERReader?
        while let field = item.next() {
            if field.tag == 4 { value = field.content }
        }
        guard var value else { return }
        switch Array(identifier.bytes) {
        case [0x55, 0x1d, 0x25]:
            guard var list = value.next(0x30) else { return }
            var found: [[UInt8]] = []
            while let purpose = list.next(6) { found.append(Array(purpose.bytes)) }
            purposes = found
        case [0x55, 0x1d, 0x0f]: usage = value.next(3)?.bytes.dropFirst().first
        default: break
        }
    }

    /// Why a certificate cannot be shown at an end, as the end of a sentence; `nil` if it can.
    func obstacle(to role: CertificateRole) -> String? {
        let (name, identifier) = role.purpose
        if let purposes, !purposes.contains(identifier), !purposes.contains(Self.anyPurpose) {
            return "its purpose (extendedKeyUsage) is not that of a \(role.rawValue): make it anew "
                + "with \(name), best with serverAuth and clientAuth both"
        }
        // The first bit is digitalSignature, by which a TLS 1.3 end shows that it has the key.
        if let usage, usage & 0x80 == 0 {
            return "its keyUsage does not allow signatures: make it anew with digitalSignature"
        }
        return nil
    }
}

/// Reads DER (X.690) as far as a certificate's extensions need.
private struct DERReader {
    private(set) var bytes: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

    /// The next value; `nil` at the end, or where none can be read.
    mutating func next() -> (tag: UInt8, content: DERReader)? {
        var rest = bytes
        guard let tag = rest.popFirst(), let first = rest.popFirst() else { return nil }
        var count = Int(first)
        if first & 0x80 != 0 {
            guard (1...4).contains(first & 0x7f) else { return nil }
            count = 0
            for _ in 0..<(first & 0x7f) {
                guard let byte = rest.popFirst() else { return nil }
                count = count << 8 | Int(byte)
            }
        }
        guard count <= rest.count else { return nil }
        let content = rest.prefix(count)
        bytes = rest.dropFirst(count)
        return (tag, DERReader(content))
    }

    /// The next value, if it has a tag.
    mutating func next(_ tag: UInt8) -> DERReader? {
        guard let value = next(), value.tag == tag else { return nil }
        return value.content
    }
}
