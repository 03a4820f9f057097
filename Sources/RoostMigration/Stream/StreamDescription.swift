internal import FoundationEssentials

/// What a stream says of its own devices, in JSON behind the end of the file (QEMU calls it
/// the vmdesc).
public struct StreamDescription: Sendable, Equatable, Decodable {
    /// The target's page size in bytes.
    public let pageSize: Int?
    /// One entry for each device section, in the order of the stream.
    public let devices: [Device]

    private enum CodingKeys: String, CodingKey {
        case pageSize = "page_size"
        case devices
    }

    /// The state of one device.
    public struct Device: Sendable, Equatable, Decodable {
        /// The section's name.
        public let name: String
        /// Which of several devices of that name.
        public let instance: UInt32
        /// The layout's name, absent for handlers of the old style.
        public let layout: String?
        /// The length in bytes of the section's payload.
        public let byteCount: Int

        private enum CodingKeys: String, CodingKey {
            case name, size
            case instance = "instance_id"
            case layout = "vmsd_name"
        }

        /// Decodes an entry and adds up the lengths of its fields and subsections.
        ///
        /// - Parameter decoder: Stands at one entry of `devices`.
        /// - Throws: `DecodingError`, or another error when the lengths pass a 64-bit integer.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            name = try container.decode(String.self, forKey: .name)
            instance = try container.decode(UInt32.self, forKey: .instance)
            layout = try container.decodeIfPresent(String.self, forKey: .layout)
            if let size = try container.decodeIfPresent(Int.self, forKey: .size) {
                byteCount = size
            } else {
                byteCount = try Layout(from: decoder).byteCount
            }
            guard byteCount >= 0 else { throw Layout.Overflow() }
        }
    }

    /// The fields of a device or of a subsection, reduced to their length.
    private struct Layout: Decodable {
        struct Overflow: Error {}

        let byteCount: Int

        private enum CodingKeys: String, CodingKey {
            case fields, subsections
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            var sum = 0
            for field in try container.decodeIfPresent([Field].self, forKey: .fields) ?? [] {
                sum = try Self.add(sum, field.byteCount)
            }
            let subsections = try container.decodeIfPresent(
                [Subsection].self, forKey: .subsections)
            for subsection in subsections ?? [] {
                sum = try Self.add(sum, subsection.byteCount)
            }
            byteCount = sum
        }

        static func add(_ left: Int, _ right: Int) throws -> Int {
            let (sum, overflow) = left.addingReportingOverflow(right)
            guard !overflow, right >= 0 else { throw Overflow() }
            return sum
        }
    }

    /// A field: one element's size, and how many there are where an array was folded.
    ///
    /// What a structure contains is part of its size.
    private struct Field: Decodable {
        let byteCount: Int

        private enum CodingKeys: String, CodingKey {
            case size
            case count = "array_len"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            let size = try container.decode(Int.self, forKey: .size)
            let count = try container.decodeIfPresent(Int.self, forKey: .count) ?? 1
            let (product, overflow) = size.multipliedReportingOverflow(by: count)
            guard !overflow, size >= 0, count >= 0 else { throw Layout.Overflow() }
            byteCount = product
        }
    }

    /// A subsection: its marker, counted name and version, then its layout.
    private struct Subsection: Decodable {
        let byteCount: Int

        private enum CodingKeys: String, CodingKey {
            case layout = "vmsd_name"
        }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            let name = try container.decode(String.self, forKey: .layout)
            byteCount = try Layout.add(6 + name.utf8.count, Layout(from: decoder).byteCount)
        }
    }

    /// Decodes the JSON text; `nil` when it is none, or not of this shape.
    init?(json: [UInt8]) {
        guard let decoded = try? JSONDecoder().decode(Self.self, from: Data(json)) else {
            return nil
        }
        self = decoded
    }
}
