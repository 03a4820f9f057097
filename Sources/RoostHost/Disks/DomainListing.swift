public import RoostHypervisor
internal import SystemPackage

/// The domains of a hypervisor that live, as `roost disk list --domains` shows them.
public struct DomainListing: Codable, Equatable, Sendable {
    /// A domain.
    public struct Entry: Codable, Equatable, Sendable {
        /// Its number, which `--domain` of `attach` and `detach` wants.
        public var domain: UInt16
        /// What it is called; `nil` where it has no name.
        public var name: String?
        /// The disks that it serves, by name.
        public var disks: [String]
        /// What it calls its own disks: `xvda` and so on.
        public var devices: [String]
    }

    /// The domains, by number.
    public var domains: [Entry]

    /// Describes no domain.
    public init(domains: [Entry] = []) {
        self.domains = domains
    }

    /// Reads the domains from a store.
    ///
    /// - Parameter store: The store, as somebody privileged sees it.
    /// - Returns: The domains.
    /// - Throws: `HypervisorError` of kind `lost` when the store is gone.
    public static func read(
        from store: some Store
    ) async throws(HypervisorError) -> DomainListing {
        var served: [String: [String]] = [:]
        for name in try await names("/roost/disk", store) {
            guard let domain = try await text("/roost/disk/\(name)", store) else { continue }
            served[domain, default: []].append(String(name.map { $0 == "@" ? "." : $0 }))
        }
        var listing = DomainListing()
        for number in try await names("/local/domain", store).compactMap({ UInt16($0) }).sorted() {
            let home = "/local/domain/\(number)"
            let devices = try await names("\(home)/device/vbd", store).compactMap { UInt32($0) }
            listing.domains.append(
                Entry(
                    domain: number, name: try await text("\(home)/name", store),
                    disks: (served["\(number)"] ?? []).sorted(),
                    devices: devices.sorted().map { DiskNodes.deviceName($0) }))
        }
        return listing
    }

    /// The names in a folder; none where it cannot be read.
    private static func names(
        _ path: String, _ store: some Store
    ) async throws(HypervisorError) -> [String] {
        do throws(HypervisorError) {
            return try await store.directory(try StorePath(path), in: nil)
        } catch {
            guard error.kind != .lost else { throw error }
            return []
        }
    }

    /// A node's text; `nil` where it cannot be read or is empty.
    private static func text(
        _ path: String, _ store: some Store
    ) async throws(HypervisorError) -> String? {
        do throws(HypervisorError) {
            let bytes = try await store.read(try StorePath(path), in: nil)
            return bytes.isEmpty ? nil : String(decoding: bytes.prefix(128), as: UTF8.self)
        } catch {
            guard error.kind != .lost else { throw error }
            return nil
        }
    }

    /// The domains in a sentence: "1 (nbdkit), 2 (disk-web1)".
    var sentence: String {
        let shown = domains.prefix(20).map { entry in
            "\(entry.domain)" + (entry.name.map { " (\($0.prefix(64)))" } ?? "")
        }
        return shown.joined(separator: ", ") + (domains.count > 20 ? " and more" : "")
    }
}
