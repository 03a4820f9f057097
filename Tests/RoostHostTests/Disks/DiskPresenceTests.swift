import Glibc
import Logging
import RoostBlock
import RoostHypervisor
import Testing

@testable import RoostHost

/// That nobody serves a disk is said, and not waited for.
@Suite(.timeLimit(.minutes(1))) struct DiskPresenceTests {
    private static let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func presence(_ name: String, _ rig: ControlRig) throws -> DiskPresence {
        try DiskPresence(name, environment: ["ROOST_SOCKET": rig.path("hypervisor")])
    }

    @Test func `nobody serves: the command is told, and names that may be meant`() async throws {
        let rig = try ControlRig()
        _ = try rig.socket("disk-web1.sock")
        _ = try rig.socket("disk-backup.sock")
        for (name, hint) in [("wbe1", "web1"), ("web", "web1"), ("nosuch", nil)]
            as [(String, String?)]
        {
            let presence = try presence(name, rig)
            let error = try await #require(throws: HostError.self) {
                try await presence.waitForServer(waits: false, logger: Self.silent)
            }
            let text = error.description
            #expect(error.kind == .absent)
            #expect(text.hasPrefix("nobody serves a disk named \(name)"))
            #expect(
                text.contains("roost disk serve --name \(name) --image") && text.contains("--wait"))
            #expect(text.contains("web1") == (hint != nil) && !text.contains("backup"))
        }
    }

    @Test func `a server that is gone is said to be`() async throws {
        let rig = try ControlRig()
        close(try rig.socket("disk-web1.sock"))
        let presence = try presence("web1", rig)
        let error = try await #require(throws: HostError.self) {
            try await presence.waitForServer(waits: false, logger: Self.silent)
        }
        #expect(error.description.contains("its process is gone"))
    }

    @Test func `who waits is served as soon as somebody serves`() async throws {
        let rig = try ControlRig()
        let disk = DoctorCase().disk
        let presence = try presence("web1", rig)
        let waiting = Task {
            try await presence.waitForServer(waits: true, logger: Self.silent)
        }
        let server = try await ControlServer(
            try ControlName(.disk, "web1"), in: rig.directory, logger: rig.logger,
            snapshot: { disk })
        try await rig.serving(server) {
            let found = try await waiting.value
            #expect(found == disk)
        }
    }

    @Test func `a wait ends when it is cancelled`() async throws {
        let rig = try ControlRig()
        let presence = try presence("web1", rig)
        let waiting = Task { try await presence.waitForServer(waits: true, logger: Self.silent) }
        waiting.cancel()
        await #expect(throws: CancellationError.self) { try await waiting.value }
    }

    @Test(
        arguments: [
            ("web1", "Web-1", true), ("web1", "web2", true), ("web1", "wbe1", true),
            ("web", "web1.raw", true), ("a", "b", true), ("a", "bcd", false),
            ("web1", "database", false), ("web1", "", false),
        ])
    func `names are similar or not`(left: String, right: String, isSimilar: Bool) {
        #expect(DiskPresence.isSimilar(left, right) == isSimilar)
        #expect(DiskPresence.isSimilar(right, left) == isSimilar)
    }

    @Test(
        arguments: [
            (["ROOST_STATE": "/a"], true, "/a"), (["ROOST_STATE": ""], true, "/var/lib/roost"),
            (["HOME": "/home/b"], true, "/var/lib/roost"),
            (["HOME": "/home/b"], false, "/home/b/.local/state/roost"),
            (["HOME": "/home/b", "XDG_STATE_HOME": "/s"], false, "/s/roost"), ([:], false, nil),
        ] as [([String: String], Bool, String?)])
    func `the state folder is where it belongs`(
        environment: [String: String], isRoot: Bool, path: String?
    ) {
        #expect(StateDirectory.path(environment: environment, isRoot: isRoot) == path)
    }

    @Test(arguments: ["web1.raw", "a", "1-2_3.4", String(repeating: "x", count: 64)])
    func `a name that one command takes, all of them and the store take`(name: String) async throws
    {
        #expect(try ControlName(.disk, name).name == name)
        let local = LocalStore()
        local.domainAppeared(DomainID(rawValue: 5))
        let store = local.connect(as: .privileged, isPrivileged: true)
        let registry = DiskRegistry(store)
        try await registry.register(name, servedBy: DomainID(rawValue: 5))
        #expect(try await registry.server(of: name) == DomainID(rawValue: 5))
        let listing = try await DomainListing.read(from: store)
        #expect(listing.domains.map(\.disks) == [[name]])
    }

    @Test(arguments: [
        "", ".web", "-web", "we b", "web/1", "web@1", "wéb", String(repeating: "x", count: 65),
    ])
    func `a name that one command refuses, all of them refuse by one rule`(name: String)
        async throws
    {
        let error = #expect(throws: HostError.self) { try ControlName(.disk, name) }
        let registry = DiskRegistry(LocalStore().connect(as: .privileged, isPrivileged: true))
        let refusal = await #expect(throws: HypervisorError.self) {
            try await registry.server(of: name)
        }
        for text in [error?.description, refusal?.description] {
            #expect(text?.contains(DiskName.rule) == true)
        }
    }
}
