import Foundation
import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// What `roost disk doctor` says of disks that are really broken.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(5)),
    .enabled(if: DiskNeeds.doctor.isEmpty, "\(DiskNeeds.doctor)"))
struct DoctorLab {
    init() { BrokenPipes.ignore() }

    /// A disk that is served and used.
    private struct Patient {
        let stage: DiskStage
        let backend: ChildProcess
        let disk: NBDDisk

        init() async throws {
            stage = try DiskStage()
            backend = try await stage.serve("ram:4M", as: "web1")
            disk = try await stage.connect("web1")
            try await stage.expectRecovery("web1")
        }

        /// The two ends' domains, and their folders in the store.
        func nodes() async throws -> (frontend: (UInt64, String), backend: (UInt64, String)) {
            let disk = try await stage.snapshot("web1")
            let device = disk["devices"]?.array?.first
            guard let backend = disk["domain"]?.unsignedInteger,
                let frontend = device?["frontend"]?.unsignedInteger,
                let number = device?["device"]?.unsignedInteger
            else { throw LabError("web1 has no device") }
            return (
                (frontend, "/local/domain/\(frontend)/device/vbd/\(number)"),
                (backend, "/local/domain/\(backend)/backend/vbd/\(frontend)/\(number)")
            )
        }

        func close() async throws {
            try await disk.close()
            backend.signal(SIGTERM)
            try await backend.succeed()
            try await stage.close()
        }
    }

    @Test("BLK-19: the doctor finds nothing wrong with a disk that is used")
    func healthy() async throws {
        try await LabClock.measure("disk doctor, healthy") {
            let patient = try await Patient()
            _ = try await LabTool.io(patient.disk.uri, ["write -P 1 0 1M", "read -P 1 0 1M"])
            try await patient.stage.expectHealthy("web1")
            try await patient.close()
        }
    }

    @Test("BLK-19: the doctor knows a disk that nobody serves, or whose name is misspelt")
    func unserved() async throws {
        try await LabClock.measure("disk doctor, not served") {
            let patient = try await Patient()
            try await patient.stage.expectFault(
                "wbe1", "notServed", says: "nobody serves a disk named wbe1", "served are web1")
            try await patient.close()
            let empty = try DiskStage()
            try await empty.expectFault(
                "web1", "hypervisorAbsent", says: "no hypervisor answers on")
            try await empty.close()
        }
    }

    @Test("BLK-19: the doctor knows a backend that was killed")
    func backendKilled() async throws {
        try await LabClock.measure("disk doctor, backend killed") {
            let patient = try await Patient()
            try await patient.backend.stop()
            try await patient.stage.expectFault(
                "web1", "processDead", says: "the process that served web1 is gone",
                "roost disk serve --name web1")

            // Served again, all is well again, without a word to the frontend.
            let next = try await patient.stage.serve("ram:4M", as: "web1")
            try await patient.stage.expectRecovery("web1")
            try await patient.disk.close()
            next.signal(SIGTERM)
            try await next.succeed()
            try await patient.stage.close()
        }
    }

    @Test("BLK-19: the doctor knows a hypervisor that was killed")
    func hypervisorKilled() async throws {
        try await LabClock.measure("disk doctor, hypervisor killed") {
            let patient = try await Patient()
            // The backend starts another, and its guests come back.
            try await patient.stage.killHypervisor()
            try await patient.stage.expectRecovery("web1")

            // Without a backend nobody does.
            try await patient.backend.stop()
            try await patient.stage.killHypervisor()
            for left in ["disk-web1.sock", "hypervisor", "xenstore"] {
                _ = (patient.stage.file(left), patient.stage.file(left + ".lock"))
            }
            try await patient.stage.expectFault(
                "web1", "hypervisorAbsent", says: "no hypervisor answers on",
                "start roost hypervisor")
            try await patient.disk.close()
            try await patient.stage.close()
        }
    }

    @Test("BLK-19: the doctor names the key that is missing of a frontend")
    func keyRemoved() async throws {
        try await LabClock.measure("disk doctor, key removed") {
            let patient = try await Patient()
            let path = try await patient.nodes().frontend.1 + "/state"
            try await patient.stage.xenstore("rm", path)
            try await patient.stage.expectFault("web1", "keyMissing", says: path)
            try await patient.close()
        }
    }

    @Test("BLK-19: the doctor names the node that the other end may not read")
    func permissionTaken() async throws {
        try await LabClock.measure("disk doctor, permission taken") {
            let patient = try await Patient()
            let (frontend, backend) = try await patient.nodes()
            let (path, owner) = (backend.1, "n\(backend.0)")
            // A frontend that notices attaches itself anew, with nodes of its own again.
            patient.stage.signalServers(SIGSTOP)
            try await patient.stage.xenstore("chmod", "-r", path, owner)
            try await patient.stage.expectFault(
                "web1", "nodeDenied", says: "\(path)/state may not be read by domain \(frontend.0)")
            try await patient.stage.xenstore("chmod", "-r", path, owner, "r\(frontend.0)")
            patient.stage.signalServers(SIGCONT)
            try await patient.stage.expectRecovery("web1")
            try await patient.close()
        }
    }
}

extension DiskStage {
    /// What the doctor says of a disk, and with which status it ends.
    private func doctor(_ name: String) async throws -> (status: Int32, findings: [JSONValue]) {
        let child = try start(["disk", "doctor", name, "--json"])
        let status = try await child.exit()
        return (status, try child.json()["findings"]?.array ?? [])
    }

    /// That a disk is connected, and nothing is wrong with it.
    func expectHealthy(_ name: String) async throws {
        let (status, findings) = try await doctor(name)
        #expect(status == 0, "\(findings)")
        #expect(findings.contains { $0["rule"]?.string == "connected" }, "\(findings)")
    }

    /// That a disk is connected before long, and nothing is wrong with it.
    func expectRecovery(_ name: String) async throws {
        _ = try await poll(.seconds(30), "the doctor to find nothing wrong with \(name)") {
            let (status, findings) = try await doctor(name)
            return status == 0 && findings.contains { $0["rule"]?.string == "connected" }
                ? true : nil
        }
    }

    /// That the doctor finds a fault, and says certain words about it.
    func expectFault(_ name: String, _ rule: String, says words: String...) async throws {
        let (status, findings) = try await doctor(name)
        #expect(status == 1, "\(findings)")
        let fault = findings.first { $0["rule"]?.string == rule }
        #expect(fault?["severity"] == "fault", "\(findings)")
        let sentence = fault?["sentence"]?.string ?? ""
        for word in words { #expect(sentence.contains(word), "\(findings)") }
    }

    /// Runs one of Xen's tools for its store, `xenstore-VERB`.
    func xenstore(_ verb: String, _ arguments: String...) async throws {
        let child = try LabTool.start(
            "env", ["XENSTORED_PATH=\(path("xenstore"))", "xenstore-\(verb)"] + arguments)
        try await child.succeed()
    }
}
