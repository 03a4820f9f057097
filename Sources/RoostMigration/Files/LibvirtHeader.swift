internal import RoostMemory

/// The head of a file that `virsh save` wrote: a fixed structure, the guest's description, then
/// QEMU's stream (libvirt: `src/qemu/qemu_saveimage.h`).
///
///     magic 16 │ version │ data length │ was running │ format │ cookie offset │ 14 unused words
struct LibvirtHeader {
    /// The length of the fixed structure in bytes.
    static let byteCount = 92
    /// The most bytes of description and cookie; libvirt's own are some tens of kilobytes.
    private static let dataLimit: UInt32 = 64 << 20

    /// The length in bytes of what stands between this structure and the stream.
    let dataByteCount: Int
    /// How libvirt packed the stream, where that is not handled.
    let otherFormat: OtherFormat?

    /// Reads the head; `nil` when the bytes are no libvirt file.
    init?(_ bytes: RawSpan, name: String) throws(MigrationError) {
        guard bytes.byteCount >= 16 else { return nil }
        let magic = String(bytes, from: 0, count: 16)
        guard magic != "LibvirtQemudPart" else {
            throw MigrationError(
                .truncated, "\(name) is a libvirt save that was never finished: save it again")
        }
        guard magic == "LibvirtQemudSave" else { return nil }
        guard bytes.byteCount >= Self.byteCount else {
            throw MigrationError(.truncated, "\(name) ends inside libvirt's header")
        }
        // Written in the byte order of the host that saved; the version, 1 or 2, tells which.
        let version = bytes.loadBigEndian(at: 16, as: UInt32.self).byteSwapped
        let isSwapped = version > 0xffff
        func word(_ index: Int) -> UInt32 {
            let value = bytes.loadBigEndian(at: 16 + 4 * index, as: UInt32.self)
            return isSwapped ? value : value.byteSwapped
        }
        guard word(0) == 1 || word(0) == 2 else {
            throw MigrationError(
                .unsupported, "\(name) is a libvirt save of version \(word(0)): 1 and 2 are known")
        }
        guard word(1) <= Self.dataLimit else {
            throw MigrationError(
                .limit, "\(name): libvirt's description of the guest claims \(word(1)) bytes")
        }
        dataByteCount = Int(word(1))
        otherFormat = try Self.otherFormat(word(3), name: name)
    }

    /// The formats by libvirt's numbers (`virQEMUSaveFormat`), with what unpacks each.
    private static func otherFormat(
        _ number: UInt32, name: String
    ) throws(MigrationError) -> OtherFormat? {
        switch number {
        case 0, 1, 5: nil  // raw, gzip and zstd, which are read here
        case 2: OtherFormat(libvirtFormat: "bzip2", program: "bzip2 -dc")
        case 3: OtherFormat(libvirtFormat: "xz", program: "xz -dc")
        case 4: OtherFormat(libvirtFormat: "lzop", program: "lzop -dc")
        default:
            throw MigrationError(
                .unsupported,
                "\(name) is a libvirt save of format \(number == 6 ? "sparse" : "\(number)"): set "
                    + "save_image_format in qemu.conf to raw, gzip or zstd and save again")
        }
    }
}
