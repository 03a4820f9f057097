import Foundation
import RoostHypervisor

/// A hypervisor of a test's own, in a folder that goes with it.
final class DiskMachine: Sendable {
    let directory: String
    private let hypervisor: EmbeddedHypervisor
    /// Whether the folder goes with this one, and not with its successor in it.
    private let ownsFolder: Bool

    var location: HypervisorLocation { hypervisor.location }

    /// Starts one, in the folder of one that has stopped if such is given.
    init(succeeding former: DiskMachine? = nil) throws {
        let directory = former?.directory
        ownsFolder = former == nil
        self.directory =
            directory ?? "/tmp/roost-disk-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        hypervisor = try EmbeddedHypervisor(directory: self.directory)
    }

    /// Connects a domain.
    func domain(_ name: String) throws -> EmbeddedDomain {
        try EmbeddedDomain(at: location, name: name)
    }

    /// Ends the hypervisor, as if its process had been killed.
    func stop() { hypervisor.stop() }

    deinit {
        hypervisor.stop()
        if ownsFolder { try? FileManager.default.removeItem(atPath: directory) }
    }
}
