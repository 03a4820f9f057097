import Foundation
import LabSupport
import RoostMigration
import RoostSystem
import Testing

/// The end of a move between real QEMUs: at each step somebody is killed, and never two run.
@Suite(
    .serialized, .tags(.lab), .timeLimit(.minutes(10)),
    .enabled(if: LabAssets.missing.isEmpty, "\(LabAssets.missing)"))
struct OwnershipLab {
    let assets: LabAssets
    let folder: TemporaryFolder
    let firmware: String

    init() async throws {
        BrokenPipes.ignore()
        assets = try LabAssets.locate()
        folder = try TemporaryFolder()
        firmware = try await TinyGuest.build(in: folder)
    }

    /// Who is killed or cut.
    enum Victim: String, CaseIterable {
        case relay, receive, link, source, destination
    }

    /// Where the guest must be then.
    enum Place {
        /// It runs at the source, and nowhere else.
        case source
        /// It stands still at the source, and can be continued there.
        case stands
        /// It runs at the destination.
        case destination
        /// It died with its QEMU, and was started nowhere.
        case gone
    }

    /// A step, whom it costs, and where that leaves the guest.
    struct Row: CustomTestStringConvertible {
        let step: FrameProxy.Kind
        let victim: Victim
        let place: Place

        init(_ step: FrameProxy.Kind, _ victim: Victim, _ place: Place) {
            (self.step, self.victim, self.place) = (step, victim, place)
        }

        var testDescription: String { "\(victim) at \(step)" }
    }

    static let decisive: [Row] = [
        Row(.end, .relay, .source), Row(.prepared, .receive, .source),
        Row(.end, .destination, .source), Row(.commit, .relay, .destination),
        Row(.commit, .receive, .stands), Row(.commit, .link, .destination),
        Row(.commit, .destination, .stands), Row(.started, .relay, .destination),
        Row(.started, .receive, .destination), Row(.started, .link, .destination),
    ]

    static let others: [Row] = [
        Row(.end, .receive, .source), Row(.end, .link, .source), Row(.end, .source, .gone),
        Row(.prepared, .link, .source), Row(.prepared, .relay, .source),
        Row(.prepared, .source, .gone), Row(.prepared, .destination, .source),
        Row(.commit, .source, .destination), Row(.started, .source, .destination),
    ]

    /// The whole matrix is `make lab-ownership`.
    static var rows: [Row] {
        ProcessInfo.processInfo.environment["ROOST_LAB_MATRIX"] == nil
            ? decisive : decisive + others
    }

    @Test("MIG-21: whoever is killed at whatever step, one has the guest", arguments: rows)
    func killed(_ row: Row) async throws {
        try await LabClock.measure("ownership \(row.testDescription)") {
            let stage = try await OwnershipStage(assets.qemu, firmware, before: row.step)
            try await stage.proxy.reach()
            try await stage.strike(row.victim)
            try await stage.end(after: row.victim, at: row.step)
            try await stage.expect(row.place, row.victim)
            try await stage.close()
        }
    }

    @Test("MIG-21: a relay that is told to stop while it hands the guest over says where it is")
    func interrupted() async throws {
        try await LabClock.measure("ownership interrupted") {
            for step in [FrameProxy.Kind.end, .commit] {
                let stage = try await OwnershipStage(assets.qemu, firmware, before: step)
                try await stage.proxy.reach()
                stage.relay.signal(2)
                if step == .commit {
                    // Too late: the guest was given away, and that is seen to its end.
                    stage.proxy.release()
                    #expect(try await stage.relay.exit() == 0, "\(stage.relay.text)")
                    try await stage.expect(.destination, .link)
                } else {
                    #expect(try await stage.relay.exit() == 1)
                    stage.proxy.release()
                    try await stage.expect(.source, .link)
                }
                try await stage.close()
            }
        }
    }

    @Test("MIG-21: a source that stalls behind its mark is not taken for one that is done")
    func stalled() async throws {
        try await LabClock.measure("ownership stalled source") {
            let stage = try await OwnershipStage(
                assets.qemu, firmware, before: .started, stallsBehindMark: true)
            stage.proxy.release()
            #expect(try await stage.relay.exit() == 0, "\(stage.relay.text)")
            #expect(try await stage.receive.exit() == 0, "\(stage.receive.text)")
            try await stage.expect(.destination, .link)
            try await stage.close()
        }
    }

    @Test("MIG-21: what a person settles is not contradicted, and the guest is given back")
    func resolved() async throws {
        try await LabClock.measure("ownership resolved") {
            let stage = try await OwnershipStage(assets.qemu, firmware, before: .commit)
            try await stage.proxy.reach()
            // Nobody is left to ask.
            stage.receive.signal(9)
            stage.proxy.end()
            _ = try await stage.receive.exit()
            stage.relay.signal(9)
            _ = try await stage.relay.exit()
            let known = try await stage.resolve([])
            #expect(known.contains("committing") && known.contains("notKnown"), "\(known)")
            let move = try #require(known.split(separator: "\n").last?.split(separator: " ").first)
            let refused = try await stage.resolve([String(move), "--to", "source"], status: 1)
            #expect(refused.contains("--destination-ended"), "\(refused)")
            _ = try await stage.resolve([
                String(move), "--to", "source", "--destination-ended", "--qmp",
                stage.source.monitorPath,
            ])
            try await stage.source.status("running")
            let late = try await stage.resolve([String(move), "--to", "destination"], status: 1)
            #expect(late.contains("cannot be settled so"), "\(late)")
            try await stage.close()
        }
    }
}
