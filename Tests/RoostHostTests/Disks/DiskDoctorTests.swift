import RoostHost
import RoostHypervisor
import Testing
import TestSupport

@Suite struct DiskDoctorTests {
    /// A way to break a disk, and what is to be said about it.
    struct Broken: CustomTestStringConvertible, Sendable {
        let rule: DiskFinding.Rule
        let severity: DiskFinding.Severity
        /// Words that the sentence must have.
        let words: [String]
        let isServed: Bool
        let breakIt: @Sendable (inout DoctorCase) -> Void

        init(
            _ rule: DiskFinding.Rule, as severity: DiskFinding.Severity = .fault,
            isServed: Bool = true, _ words: [String],
            _ breakIt: @escaping @Sendable (inout DoctorCase) -> Void
        ) {
            self.rule = rule
            self.severity = severity
            self.words = words
            self.isServed = isServed
            self.breakIt = breakIt
        }

        var testDescription: String { "\(rule): \(words.joined(separator: ", "))" }
    }

    static let front = DoctorCase.front
    static let back = DoctorCase.back

    static let processes: [Broken] = [
        Broken(.hypervisorAbsent, ["/run/x", "start roost hypervisor"]) {
            $0.examination.hypervisor = .absent(socket: "/run/x")
        },
        Broken(.hypervisorFailed, ["out of sorts"]) {
            $0.examination.hypervisor = .failed("out of sorts")
        },
        Broken(.notServed, isServed: false, ["nobody serves a disk named web1", "web2, web3"]) {
            $0.examination.others = ["web2", "web3"]
        },
        Broken(.notServed, isServed: false, ["nor any other", "roost disk serve"]) { _ in },
        Broken(.processDead, isServed: false, ["is gone and left /run/d.sock behind"]) {
            $0.examination.server = .dead(socket: "/run/d.sock")
        },
        Broken(.processHung, isServed: false, ["alive but does not answer on /run/d.sock"]) {
            $0.examination.server = .hung(socket: "/run/d.sock")
        },
        Broken(.processFailed, isServed: false, ["no JSON"]) {
            $0.examination.server = .failed("no JSON")
        },
        Broken(.processAlone, ["process 77", "lost its hypervisor"]) {
            $0.disk.isHypervisorConnected = false
        },
        Broken(.foreignFormat, as: .warning, ["web1.raw", "looks like a 'qcow2' image"]) {
            $0.disk.imageLook = "qcow2"
        },
        Broken(.encrypted, as: .note, ["has a LUKS header"]) { $0.disk.imageLook = "LUKS" },
        Broken(.noDevice, as: .warning, ["no domain has a device", "roost disk connect web1"]) {
            $0.remove(front)
            $0.remove(back)
            $0.disk.devices = []
        },
        Broken(.backendFailure, ["device 51712 of domain 3", "no room"]) {
            $0.examination.hypervisor = .failed("x")
            $0.disk.devices[0].queues = []
            $0.disk.devices[0].failure = "no room"
        },
    ]

    static let nodes: [Broken] = [
        Broken(.frontendMissing, ["\(front) is missing"]) { $0.remove(front) },
        Broken(.backendMissing, ["\(back) is missing"]) { $0.remove(back) },
        Broken(.pathMismatch, ["\(front)/backend is '/other'", "should be \(back)"]) {
            $0[front: "backend"] = .value("/other")
        },
        Broken(.pathMismatch, ["\(back)/frontend is", "should be \(front)"]) {
            $0[back: "frontend"] = .value("\(back)")
        },
        Broken(.keyMissing, ["\(front)/backend is missing"]) { $0[front: "backend"] = .missing },
        Broken(.keyMissing, ["\(back)/frontend is missing"]) { $0[back: "frontend"] = .missing },
        Broken(.keyMissing, ["\(front)/backend-id is missing", "5"]) {
            $0[front: "backend-id"] = .missing
        },
        Broken(.keyMissing, ["\(back)/frontend-id is missing", "3"]) {
            $0[back: "frontend-id"] = .missing
        },
        Broken(.keyMissing, ["\(front)/state is missing"]) { $0[front: "state"] = .missing },
        Broken(.keyMissing, ["\(back)/state is missing"]) { $0[back: "state"] = .missing },
        Broken(.identityMismatch, ["\(front)/backend-id is '9' but should be 5"]) {
            $0[front: "backend-id"] = .value("9")
        },
        Broken(.nodeDenied, ["\(front) may not be read (EACCES)", "domain 3"]) {
            $0.examination.tree[front] = .denied
        },
        Broken(.nodeDenied, ["\(back)/state may not be read (EACCES)", "domain 5"]) {
            $0[back: "state"] = .denied
        },
        Broken(.nodeDenied, ["\(back)/state may not be read by domain 3", "r3"]) {
            $0.examination.tree.permissions["\(back)/state"] = StorePermissions(
                owner: DomainID(rawValue: 5),
                listed: [StorePermissions.Entry(.read, DomainID(rawValue: 4))])
        },
        Broken(.nodeDenied, ["\(front)/state may not be read by domain 5", "r5"]) {
            $0.disk.hypervisorSocket = nil
            $0.examination.tree.permissions["\(front)/state"] = StorePermissions(
                owner: DomainID(rawValue: 3), others: .write)
        },
        Broken(.nodeFailed, ["\(front)/state cannot be read: EIO"]) {
            $0[front: "state"] = .failed("EIO")
        },
        Broken(.domainDead, ["domain 3", "is dead", "roost disk detach"]) {
            $0.examination.livingDomains = [0, 5]
        },
        Broken(.otherBackend, ["domain 5", "now served by domain 8"]) { $0.disk.domain = 8 },
        Broken(.stateUnknown, ["\(front)/state is '11'", "no state"]) {
            $0[front: "state"] = .value("11")
        },
        Broken(.stateUnknown, ["\(back)/state is 'x", "…'"]) {
            $0[back: "state"] = .value(String(repeating: "x", count: 5000))
        },
    ]

    static let handshakes: [Broken] = [
        Broken(.backendIdle, ["backend, which is Initialising", "process 77", "params"]) {
            $0.states("1", "1")
        },
        Broken(.backendIdle, isServed: false, ["nobody serves it"]) { $0.states("1", "1") },
        Broken(.backendIdle, isServed: false, ["does not answer"]) {
            $0.states("3", "1")
            $0.examination.server = .hung(socket: "/s")
        },
        Broken(.frontendIdle, ["Initialising: nobody runs it", "domain 3"]) {
            $0.states("1", "2")
            for key in ["ring-ref", "event-channel"] { $0[front: key] = .missing }
        },
        Broken(.frontendWaits, ["InitWait", "never published"]) {
            $0.states("1", "2")
            $0[front: "ring-ref"] = .missing
        },
        Broken(.backendWaits, ["Initialised", "process 77"]) { $0.states("3", "2") },
        Broken(.backendWaits, isServed: false, ["nobody serves it"]) { $0.states("3", "2") },
        Broken(.backendFailure, ["the backend refused it: cannot map 8"]) {
            $0.states("3", "2")
            $0.disk.devices[0].failure = "cannot map 8"
        },
        Broken(.protocolMissing, as: .warning, ["\(front)/protocol is missing", "x86_64-abi"]) {
            $0.states("3", "2")
            $0[front: "protocol"] = .missing
        },
        Broken(.protocolUnknown, ["\(front)/protocol is 'vax'"]) {
            $0.states("3", "2")
            $0[front: "protocol"] = .value("vax")
        },
        Broken(.ringReference, ["\(front)/ring-ref is missing"]) {
            $0.states("3", "2")
            $0[front: "ring-ref"] = .missing
        },
        Broken(.ringReference, ["\(front)/ring-ref is 'eight', which is not a grant"]) {
            $0.states("3", "2")
            $0[front: "ring-ref"] = .value("eight")
        },
        Broken(.ringReference, ["\(front)/ring-ref0 is missing"]) {
            // The order in any value asks for numbered references.
            $0.states("3", "2")
            $0[front: "ring-page-order"] = .value("0")
        },
        Broken(.ringReference, ["\(front)/ring-ref3 is missing"]) {
            $0.states("3", "2")
            $0[front: "ring-page-order"] = .value("2")
            for page in 0..<3 { $0[front: "ring-ref\(page)"] = .value("\(page)") }
        },
        Broken(.eventChannel, ["\(front)/event-channel is missing"]) {
            $0.states("3", "2")
            $0[front: "event-channel"] = .missing
        },
        Broken(.eventChannel, ["event-channel is '-1', which is not a port"]) {
            $0.states("3", "2")
            $0[front: "event-channel"] = .value("-1")
        },
        Broken(.ringOrder, ["ring-page-order is 5", "at most 4", "\(back)/max-ring-page-order"]) {
            $0.states("3", "2")
            $0[front: "ring-page-order"] = .value("5")
        },
        Broken(.ringOrder, ["ring-page-order is 1", "at most 0"]) {
            $0.states("3", "2")
            $0[back: "max-ring-page-order"] = .missing
            $0[front: "ring-page-order"] = .value("1")
        },
        Broken(.ringOrder, ["ring-page-order is 'many'"]) {
            $0.states("3", "2")
            $0[front: "ring-page-order"] = .value("many")
        },
        Broken(.queueCount, ["multi-queue-num-queues is 3", "at most 2"]) {
            $0.states("3", "2")
            $0[front: "multi-queue-num-queues"] = .value("3")
        },
        Broken(.queueCount, ["multi-queue-num-queues is '0'", "from 1 to 2"]) {
            $0.states("3", "2")
            $0[front: "multi-queue-num-queues"] = .value("0")
        },
        Broken(.ringReference, ["\(front)/queue-1/ring-ref is missing"]) {
            $0.states("3", "2")
            $0[front: "multi-queue-num-queues"] = .value("2")
            $0[front: "queue-0/ring-ref"] = .value("1")
            $0[front: "queue-0/event-channel"] = .value("1")
            $0[front: "queue-1/event-channel"] = .value("1")
        },
        Broken(.frontendStuck, ["backend is Connected and the frontend still Initialised"]) {
            $0.states("3", "4")
        },
        Broken(.closing, ["being detached", "frontend is Connected, the backend Closing"]) {
            $0.states("4", "5")
            $0[back: "online"] = .value("0")
        },
        Broken(.closing, ["remove its nodes with roost disk detach"]) {
            $0.states("6", "6")
            $0[back: "online"] = .value("0")
        },
        Broken(.closed, ["online is 1", "the guest let it go"]) { $0.states("6", "6") },
        Broken(.closed, ["the backend gave it up"]) { $0.states("4", "6") },
        Broken(.removed, ["frontend is Unknown"]) { $0.states("0", "4") },
        Broken(.stateMismatch, ["frontend is Connected and the backend InitWait"]) {
            $0.states("4", "2")
        },
        Broken(.stateMismatch, ["Reconfiguring"]) { $0.states("4", "7") },
    ]

    static let speeds: [Broken] = [
        Broken(.readOnly, as: .warning, ["\(back)/mode is 'w'", "read-only"]) {
            $0.disk.isReadOnly = true
        },
        Broken(.requestErrors, as: .warning, ["7 requests", "process 77"]) { $0.queue.errors = 7 },
        Broken(.grantsFull, as: .warning, ["1056 grants", "12 times", "--grants"]) {
            $0.queue.grantsPeak = 1056
            $0.queue.grantOverflows = 12
        },
        Broken(.grantsStuck, as: .warning, ["3 grants", "still uses"]) { $0.queue.grantsStuck = 3 },
        Broken(.grantsMissed, as: .warning, ["only 50 %"]) {
            $0.queue.grantMisses = $0.queue.grantHits
        },
        Broken(.persistenceUnused, as: .warning, ["both ends", "do not use them"]) {
            $0.disk.devices[0].features?.isPersistent = false
        },
        Broken(.frontendTransient, as: .warning, ["mapped and unmapped", "--policy always"]) {
            $0.disk.devices[0].features?.isPersistent = false
            $0[front: "feature-persistent"] = .value("0")
        },
        Broken(.frontendTransient, as: .warning, ["so each request is copied"]) {
            $0.disk.mode = "copy"
            $0.disk.devices[0].features?.isPersistent = false
            $0[front: "feature-persistent"] = .missing
        },
        Broken(.backendTransient, as: .note, ["as it was told"]) {
            $0.disk.devices[0].features?.isPersistent = false
            $0[back: "feature-persistent"] = .value("0")
        },
        Broken(.ringFull, as: .warning, ["full 101 times in 10000", "--ring-order"]) {
            $0.queue.fullCount = 101
        },
        Broken(.unbatched, as: .note, ["one at a time"]) {
            $0.queue.notificationsSent = 10_000
            $0.queue.notificationsSuppressed = 0
        },
        Broken(.storageSlow, as: .warning, ["its storage web1.raw takes", "iostat"]) {
            $0.queue.latency = slow
            $0.queue.storageLatency = slow
        },
        Broken(.storageSlow, as: .warning, ["see whether the storage of web1.raw is busy"]) {
            $0.queue.latency = slow
        },
        Broken(.backendSlow, as: .warning, ["takes only 2.0 ms", "process 77"]) {
            $0.queue.latency = slow
            $0.queue.storageLatency = LatencyHistogram([
                .init(nanoseconds: 2_000_000, count: 10_000)
            ])
        },
    ]

    static let slow = LatencyHistogram([.init(nanoseconds: 25_000_000, count: 10_000)])

    @Test(
        "BLK-19: each fault is found and told in words", arguments: processes + nodes + handshakes)
    func fault(_ broken: Broken) throws {
        try check(broken)
    }

    @Test("BLK-19: each reason for slowness is found and told in words", arguments: speeds)
    func slowness(_ broken: Broken) throws {
        let findings = try check(broken)
        // A device that works is not called broken, and nothing else is accused.
        #expect(Set(findings.map(\.rule)) == [broken.rule, .connected])
    }

    @discardableResult
    private func check(_ broken: Broken) throws -> [DiskFinding] {
        var disk = DoctorCase()
        broken.breakIt(&disk)
        let findings = disk.findings(isServed: broken.isServed)
        let found = try #require(
            findings.first { finding in
                finding.rule == broken.rule
                    && broken.words.allSatisfy { finding.sentence.contains($0) }
            }, "\(findings.map { "\($0.rule): \($0.sentence)" })")
        #expect(found.severity == broken.severity)
        #expect(!found.sentence.contains("\n"))
        let ranks = findings.map(\.severity)
        #expect(ranks == ranks.sorted(by: >))
        return findings
    }

    @Test("BLK-19: every rule has a case") func everyRule() {
        let tried = Set((Self.processes + Self.nodes + Self.handshakes + Self.speeds).map(\.rule))
        #expect(Set(DiskFinding.Rule.allCases).subtracting(tried) == [.connected])
    }

    @Test("BLK-19: a disk that is well is told with its facts") func well() {
        let findings = DoctorCase().findings()
        #expect(findings.map(\.rule) == [.connected])
        #expect(findings[0].severity == .note)
        for words in [
            "device 51712 of domain 3 is connected to web1", "x86_64-abi", "1 queue of 1 page",
            "352 of 1056 persistent grants", "10000 requests", "99 % within 48 µs", "37 %",
        ] {
            #expect(findings[0].sentence.contains(words), "\(findings[0].sentence)")
        }
    }

    @Test("BLK-19: a device of another disk is left out") func others() {
        var disk = DoctorCase()
        disk.examination.tree["/local/domain/5/backend/vbd/3/51728/params"] = .value("web2")
        disk.examination.tree["/local/domain/9/backend/vbd/3/51744/state"] = .value("1")
        #expect(disk.findings().map(\.rule) == [.connected])
    }

    @Test("BLK-19: a frontend whose backend has no nodes is found by its pointer")
    func pointer() {
        var disk = DoctorCase()
        disk.remove(Self.back)
        #expect(disk.findings().map(\.rule) == [.backendMissing])
    }

    @Test("BLK-19: any text in the store gives findings, never a trap", arguments: 0..<64)
    func anything(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        let texts = [
            "", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "-1", "x86_64-abi",
            "18446744073709551616", "99999999", "\u{0}\u{1b}[2J",
            String(repeating: "é", count: 999),
            Self.front, Self.back, "/local/domain/5/backend/vbd/3/99999999999",
        ]
        var disk = DoctorCase()
        let keys = [
            "backend", "backend-id", "frontend", "frontend-id", "state", "ring-ref", "protocol",
            "event-channel", "ring-page-order", "multi-queue-num-queues", "max-ring-page-order",
            "multi-queue-max-queues", "online", "mode", "params", "feature-persistent",
        ]
        for _ in 0..<Int.random(in: 1...6, using: &random) {
            let key = keys.randomElement(using: &random) ?? ""
            let node: StoreTree.Node =
                switch UInt8.random(in: 0..<10, using: &random) {
                case 0: .missing
                case 1: .denied
                default: .value(texts.randomElement(using: &random) ?? "")
                }
            if Bool.random(using: &random) {
                disk[front: key] = node
            } else {
                disk[back: key] = node
            }
        }
        #expect(!disk.findings().isEmpty)
        #expect(!disk.findings(isServed: false).isEmpty)
    }
}
