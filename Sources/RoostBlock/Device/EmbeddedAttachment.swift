public import RoostHypervisor
internal import Synchronization
internal import SystemPackage

/// Attaches a guest's disk on the embedded hypervisor, again each time the backend or the
/// hypervisor was lost: what `xl block-attach` does on Xen.
///
/// Give ``attach()`` to a ``BlockFrontend``.
public final class EmbeddedAttachment: Sendable {
    private let location: HypervisorLocation
    private let disk: String
    private let guest: String
    private let number: BlockDeviceNumber
    /// The program that runs a hypervisor where there is none, or `nil` to wait for one.
    private let program: String?
    /// The guest's domain, as long as its hypervisor lives.
    private let present = Mutex<EmbeddedDomain?>(nil)

    /// How long to wait before a hypervisor is looked for again, where none is started from here.
    private static let searchInterval = Duration.milliseconds(50)

    /// Describes a guest's disk.
    ///
    /// - Parameters:
    ///   - disk: The name that it is served by.
    ///   - location: Where the hypervisor is.
    ///   - guest: What the domain is called.
    ///   - number: Which of the guest's disks it is.
    ///   - program: The path of `roost`, which runs a hypervisor where there is none; `nil` waits.
    public init(
        _ disk: String, at location: HypervisorLocation, guest: String = "guest",
        number: BlockDeviceNumber = BlockDeviceNumber(disk: 0), program: String? = nil
    ) {
        self.disk = disk
        self.location = location
        self.guest = guest
        self.number = number
        self.program = program
    }

    /// The guest's domain, once there was one.
    public var domain: DomainID? { present.withLock { $0?.id } }

    /// Waits for a hypervisor and for a backend that serves the disk, and attaches it.
    ///
    /// - Returns: The guest's domain and the device's folder; the backend waits there.
    /// - Throws: `CancellationError`, or `HypervisorError` for what no waiting mends.
    public func attach() async throws -> BlockFrontend<EmbeddedDomain>.Attachment {
        while true {
            do throws(HypervisorError) {
                let domain = try await living()
                let store = try await StoreClient.connect(path: location.storePath)
                defer { store.close() }
                if let path = try await attach(domain, DiskRegistry(store)) {
                    return BlockFrontend.Attachment(domain: domain, path: path)
                }
            } catch {
                guard error.kind == .lost || isAbsence(error) || !isRunning else { throw error }
            }
            try Task.checkCancellation()
            try await Task.sleep(for: Self.searchInterval)
        }
    }

    /// Whether nobody answers on a socket: the hypervisor is gone, which its domain may learn later.
    private func isAbsence(_ error: HypervisorError) -> Bool {
        switch error.errno {
        case .connectionRefused?, .connectionReset?, .brokenPipe?, .noSuchFileOrDirectory?: true
        default: false
        }
    }

    private var isRunning: Bool { present.withLock { $0.map { !$0.isLost } ?? false } }

    /// The guest's domain on a hypervisor that is there.
    private func living() async throws(HypervisorError) -> EmbeddedDomain {
        if let domain = present.withLock({ $0 }), !domain.isLost { return domain }
        // What is left of a half-lost one would keep the disk from its successor.
        present.withLock {
            $0?.disconnect()
            $0 = nil
        }
        let domain: EmbeddedDomain
        if let program {
            domain = try await HypervisorLauncher.connect(
                at: location, name: guest, program: program)
        } else {
            domain = try EmbeddedDomain(at: location, name: guest)
        }
        present.withLock { $0 = domain }
        return domain
    }

    /// Attaches the disk as soon as somebody serves it.
    ///
    /// - Returns: The device's folder; `nil` when the store is gone meanwhile.
    private func attach(
        _ domain: EmbeddedDomain, _ registry: DiskRegistry<StoreClient>
    ) async throws(HypervisorError) -> StorePath? {
        // Before the first look, so that nothing is missed after it.
        let changes = try await registry.store.watch(try registry.node(disk))
        for await _ in changes {
            guard let device = try await registry.attach(disk, as: number, to: domain.id) else {
                continue
            }
            return try StorePath(device.frontendPath)
        }
        return nil
    }
}
