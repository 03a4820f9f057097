/// A format of virtual disks that keeps its own data in the image's file, beside the sectors.
///
/// Served as it is, a guest would see the file's bytes for its disk, and spoil the image by its first
/// write. The raw value is what QEMU calls the format. Signatures are those of QEMU's
/// `docs/interop/qcow2.rst`, `qed_spec.rst` and `parallels.rst`, of the VHD and VHDX specifications of
/// Microsoft and of VMware's "Virtual Disk Format 5.0".
public enum ImageFormat: String, CaseIterable, Codable, Sendable {
    case qcow2, qcow, qed, vmdk, vhd = "vpc", vhdx, vdi, parallels, bochs, cloop, dmg

    /// The bytes at an image's begin that ``init(head:tail:)`` wants to see.
    static let headByteCount = 4096
    /// The bytes at an image's end that it wants to see.
    static let tailByteCount = 512

    /// Finds out which format an image looks like.
    ///
    /// - Parameters:
    ///   - head: The image's first bytes, ``headByteCount`` where it has so many.
    ///   - tail: Its last ones, ``tailByteCount`` where it has so many.
    ///
    /// It is `nil` for what looks like nothing but a disk's sectors.
    init?(head: [UInt8], tail: [UInt8]) {
        for mark in Self.headMarks where Self.has(head, mark.text, at: mark.offset) {
            self = mark.format
            return
        }
        // A VHD's footer has 512 bytes, and 511 where the oldest programs wrote it.
        if Self.has(tail, "conectix", at: 0) || Self.has(tail, "conectix", at: 1) {
            self = .vhd
        } else if Self.has(tail, "koly", at: 0) {
            self = .dmg
        } else if Self.isDescriptor(head) {
            self = .vmdk
        } else {
            return nil
        }
    }

    /// What people call the format.
    public var title: String {
        switch self {
        case .qcow2, .qcow: rawValue
        case .qed: "QED"
        case .vhd: "VHD"
        case .vmdk: "VMDK"
        case .vhdx: "VHDX"
        case .vdi: "VDI"
        case .parallels: "Parallels"
        case .bochs: "Bochs"
        case .cloop: "cloop"
        case .dmg: "DMG"
        }
    }

    /// Whether QEMU's programs can write it.
    private var isWritableByQEMU: Bool { self != .bochs && self != .cloop && self != .dmg }

    private static let headMarks: [(format: ImageFormat, text: String, offset: Int)] = [
        (.qcow, "QFI\u{fb}\0\0\0\u{1}", 0), (.qcow2, "QFI\u{fb}", 0), (.qed, "QED\0", 0),
        (.vmdk, "KDMV", 0), (.vmdk, "COWD", 0),
        // VMware's sparse files of snapshots (SESPARSE).
        (.vmdk, "\u{be}\u{ba}\u{fe}\u{ca}\0\0\0\0", 0),
        (.vhd, "conectix", 0), (.vhdx, "vhdxfile", 0), (.vdi, "\u{7f}\u{10}\u{da}\u{be}", 64),
        (.parallels, "WithoutFreeSpace", 0), (.parallels, "WithouFreSpacExt", 0),
        (.bochs, "Bochs Virtual HD Image", 0), (.cloop, "#!/bin/sh\n#V2.0 Format\n", 0),
    ]

    /// Whether bytes hold a text, each of whose scalars is one byte.
    private static func has(_ bytes: [UInt8], _ text: String, at offset: Int) -> Bool {
        let scalars = text.unicodeScalars
        guard bytes.count >= offset + scalars.count else { return false }
        return zip(bytes[offset...], scalars).allSatisfy { UInt32($0) == $1.value }
    }

    /// Whether an image is a text that describes a VMDK whose sectors lie in other files: after
    /// comments and empty lines its first one is `version=`, and it names the content's identity.
    private static func isDescriptor(_ head: [UInt8]) -> Bool {
        let end = head.firstIndex(of: 0) ?? head.endIndex
        let lines = head[..<end].split { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }
            .map { String(decoding: $0, as: UTF8.self).lowercased().filter { !$0.isWhitespace } }
        guard let first = lines.first(where: { !$0.isEmpty && !$0.hasPrefix("#") }) else {
            return lines.contains { $0.hasPrefix("#diskdescriptorfile") }
        }
        return lines.contains { $0.hasPrefix("#diskdescriptorfile") }
            || first.hasPrefix("version=") && lines.contains { $0.hasPrefix("cid=") }
    }

    /// How an image of the format is served all the same, for a message.
    ///
    /// - Parameter path: Where it is.
    /// - Returns: The commands.
    func advice(for path: String) -> String {
        let readOnly = isWritableByQEMU ? "" : "-r "
        return "serve it through QEMU: qemu-nbd -f \(rawValue) \(readOnly)-c /dev/nbd0 "
            + "\(Self.quoted(path)) (after modprobe nbd), then --image /dev/nbd0; or "
            + conversion(of: path)
    }

    /// How an image of the format becomes a raw one, for a message.
    ///
    /// - Parameter path: Where it is.
    /// - Returns: The command.
    func conversion(of path: String) -> String {
        "convert it: qemu-img convert -f \(rawValue) -O raw \(Self.quoted(path)) "
            + Self.quoted(Self.rawPath(for: path))
    }

    /// A name for the converted image that is not the image's own.
    private static func rawPath(for path: String) -> String {
        let name = path.hasPrefix("/dev/") ? String(path.split(separator: "/").last ?? "") : path
        let folderEnd = name.lastIndex(of: "/").map { name.index(after: $0) } ?? name.startIndex
        let file = name[folderEnd...]
        guard let dot = file.lastIndex(of: "."), dot > file.startIndex, file[dot...] != ".raw"
        else { return name + ".raw" }
        return name[..<dot] + ".raw"
    }

    /// A path as a shell takes it.
    private static func quoted(_ path: String) -> String {
        let plain = path.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                true
            default: "/._-+:@%,=".utf8.contains(byte)
            }
        }
        guard !plain else { return path }
        let parts = path.split(separator: "'", omittingEmptySubsequences: false)
        return "'" + parts.joined(separator: #"'\''"#) + "'"
    }
}

/// How an image's bytes are to be taken.
public enum ImageFormatChoice: String, CaseIterable, Sendable {
    /// As raw sectors, unless it looks like another format and was never served as raw.
    case automatic = "auto"
    /// As raw sectors, whatever it looks like.
    case raw
}

/// What an image looks like.
struct ImageLook: Equatable {
    /// The format whose signature it bears.
    var format: ImageFormat?
    /// Whether it begins with LUKS's header (LUKS1 and LUKS2 on-disk formats): what lies behind is
    /// encrypted.
    var isEncrypted: Bool

    /// What messages and snapshots call it; `nil` for plain sectors.
    var title: String? { format?.title ?? (isEncrypted ? "LUKS" : nil) }

    /// Judges an image by its first and last bytes.
    init(head: [UInt8], tail: [UInt8]) {
        format = ImageFormat(head: head, tail: tail)
        isEncrypted = head.starts(with: [0x4c, 0x55, 0x4b, 0x53, 0xba, 0xbe])
    }
}
