import RoostHypervisor
import TestSupport
import Testing

/// What the two ends write for each other.
struct DeviceKeyTests {
    static let offer = BackendOffer(maximumQueueCount: 4, maximumRingPageOrder: 4)

    /// Keys as a frontend in any layout writes them.
    static func keys(
        queues: Int, order: Int, _ blockProtocol: BlockProtocol = .x86_64, isPersistent: Bool = true
    ) -> FrontendKeys {
        var made: [FrontendKeys.Queue] = []
        for queue in 0..<queues {
            let first = UInt32(8 + queue * 100)
            let references = (0..<UInt32(1 << order)).map { page in
                GrantReference(rawValue: first + page)
            }
            let port = EventPort(rawValue: UInt32(20 + queue))
            made.append(FrontendKeys.Queue(ringReferences: references, port: port))
        }
        return FrontendKeys(queues: made, blockProtocol: blockProtocol, isPersistent: isPersistent)
    }

    static func table(_ entries: [StoreEntry]) -> [String: String] {
        Dictionary(uniqueKeysWithValues: entries.map { ($0.key, $0.value) })
    }

    @Test("One queue of one page: ring-ref and event-channel")
    func simpleLayout() {
        #expect(
            Self.table(Self.keys(queues: 1, order: 0).entries) == [
                "ring-ref": "8", "event-channel": "20", "protocol": "x86_64-abi",
                "feature-persistent": "1",
            ])
    }

    @Test("One queue of several pages: an order and numbered references")
    func severalPages() {
        #expect(
            Self.table(Self.keys(queues: 1, order: 1, .x86_32, isPersistent: false).entries) == [
                "ring-page-order": "1", "ring-ref0": "8", "ring-ref1": "9",
                "event-channel": "20", "protocol": "x86_32-abi", "feature-persistent": "0",
            ])
    }

    @Test("Several queues: a folder each, the order at the top")
    func severalQueues() {
        #expect(
            Self.table(Self.keys(queues: 2, order: 1).entries) == [
                "multi-queue-num-queues": "2", "ring-page-order": "1",
                "queue-0/ring-ref0": "8", "queue-0/ring-ref1": "9", "queue-0/event-channel": "20",
                "queue-1/ring-ref0": "108", "queue-1/ring-ref1": "109",
                "queue-1/event-channel": "21", "protocol": "x86_64-abi",
                "feature-persistent": "1",
            ])
        let plain = Self.table(Self.keys(queues: 2, order: 0).entries)
        #expect(plain["queue-1/ring-ref"] == "108")
        #expect(plain["ring-page-order"] == nil)
    }

    @Test(
        "Every layout in both protocols is read as it was written", arguments: 1...4, 0...4)
    func roundTrip(queues: Int, order: Int) throws {
        for blockProtocol in BlockProtocol.allCases {
            for isPersistent in [true, false] {
                let keys = Self.keys(
                    queues: queues, order: order, blockProtocol, isPersistent: isPersistent)
                let table = Self.table(keys.entries)
                let read = try FrontendKeys(offeredBy: Self.offer) { table[$0] }
                #expect(read == keys)
                #expect(read.ringPageOrder == order)
            }
        }
    }

    @Test("A ring-page-order of 0 means numbered references all the same")
    func orderZero() throws {
        let table = ["ring-page-order": "0", "ring-ref0": "8", "event-channel": "3"]
        let keys = try FrontendKeys(offeredBy: Self.offer) { table[$0] }
        #expect(
            keys.queues == [.init(ringReferences: [.init(rawValue: 8)], port: .init(rawValue: 3))])
        let unnumbered = ["ring-page-order": "0", "ring-ref": "8", "event-channel": "3"]
        #expect(Self.refusal(unnumbered).contains("'ring-ref0' is missing"))
    }

    @Test("Without protocol a ring is an x86_32 one, without feature-persistent not persistent")
    func defaults() throws {
        let table = ["ring-ref": "8", "event-channel": "3"]
        let keys = try FrontendKeys(offeredBy: Self.offer) { table[$0] }
        #expect(keys.blockProtocol == .x86_32)
        #expect(!keys.isPersistent)
    }

    @Test("BLK-1: feature-persistent is written, the older key is read too")
    func persistence() throws {
        for isPersistent in [true, false] {
            let written = Self.table(
                Self.keys(queues: 1, order: 0, isPersistent: isPersistent).entries)
            #expect(written["feature-persistent"] == (isPersistent ? "1" : "0"))
            #expect(written["feature-persistent-grants"] == nil)
            let features = BackendFeatures(sectorCount: 8, isPersistent: isPersistent)
            let offered = Self.table(features.entries)
            #expect(offered["feature-persistent"] == (isPersistent ? "1" : "0"))
            #expect(offered["feature-persistent-grants"] == nil)
        }
        let table = ["ring-ref": "8", "event-channel": "3", "feature-persistent-grants": "1"]
        #expect(try FrontendKeys(offeredBy: Self.offer) { table[$0] }.isPersistent)
        let both = table.merging(["feature-persistent": "0"]) { $1 }
        #expect(try !FrontendKeys(offeredBy: Self.offer) { both[$0] }.isPersistent)
        let backend = ["sectors": "8", "feature-persistent-grants": "1"]
        #expect(try BackendFeatures { backend[$0] }.isPersistent)
    }

    static let wrongFrontends: [(change: [String: String?], named: String)] = [
        (["ring-ref": nil], "'ring-ref' is missing"),
        (["event-channel": nil], "'event-channel' is missing"),
        (["ring-ref": "x"], "'ring-ref' 'x'"),
        (["ring-ref": ""], "'ring-ref' ''"),
        (["ring-ref": "-1"], "'ring-ref' '-1'"),
        (["ring-ref": "4294967296"], "'ring-ref' '4294967296'"),
        (["ring-ref": "99999999999999999999999999"], "'ring-ref' '9999"),
        (["event-channel": "1 "], "'event-channel' '1 '"),
        (["protocol": "x86_16-abi"], "'protocol' 'x86_16-abi'"),
        (["protocol": ""], "'protocol' ''"),
        (["feature-persistent": "yes"], "'feature-persistent' 'yes'"),
        (["multi-queue-num-queues": "0"], "'multi-queue-num-queues' '0'"),
        (["multi-queue-num-queues": "5"], "'multi-queue-num-queues' '5'"),
        (["multi-queue-num-queues": "4294967295"], "'multi-queue-num-queues' '4294967295'"),
        (["multi-queue-num-queues": "2"], "'queue-0/ring-ref' is missing"),
        (["ring-page-order": "5"], "'ring-page-order' '5'"),
        (["ring-page-order": "4294967295"], "'ring-page-order' '4294967295'"),
        (["ring-page-order": "-1"], "'ring-page-order' '-1'"),
        (["ring-page-order": "1"], "'ring-ref0' is missing"),
    ]

    @Test("What is missing, garbage or too large is refused by name and value", arguments: 0..<19)
    func wrong(row: Int) {
        let (change, named) = Self.wrongFrontends[row]
        var table = Self.table(Self.keys(queues: 1, order: 0).entries)
        for (key, value) in change {
            table[key] = value
        }
        let refusal = Self.refusal(table)
        #expect(refusal.contains(named))
        #expect(refusal.contains("frontend"))
        #expect(refusal.count < 300)
    }

    private static func refusal(_ table: [String: String]) -> String {
        do throws(HypervisorError) {
            _ = try FrontendKeys(offeredBy: offer) { table[$0] }
            return "accepted"
        } catch {
            return error.description
        }
    }

    @Test("A long value is shown in part")
    func longValues() {
        let table = ["ring-ref": String(repeating: "9", count: 4000), "event-channel": "3"]
        #expect(Self.refusal(table).count < 300)
    }

    @Test("What a backend offers is read as it was written")
    func offers() throws {
        for offer in [
            BackendOffer(), BackendOffer(maximumIndirectSegments: 0),
            BackendOffer(
                maximumIndirectSegments: 4096, maximumQueueCount: 256, maximumRingPageOrder: 5),
        ] {
            let table = Self.table(offer.entries)
            #expect(try BackendOffer { table[$0] } == offer)
        }
        #expect(
            try BackendOffer { _ in nil }
                == BackendOffer(
                    maximumIndirectSegments: 0, maximumQueueCount: 1, maximumRingPageOrder: 0))
    }

    @Test("A backend that offers more than anybody uses is believed up to our own bounds")
    func largeOffers() throws {
        let table = [
            "feature-max-indirect-segments": "4294967295", "multi-queue-max-queues": "4294967295",
            "max-ring-page-order": "4294967295",
        ]
        #expect(
            try BackendOffer { table[$0] }
                == BackendOffer(
                    maximumIndirectSegments: 4096, maximumQueueCount: 256,
                    maximumRingPageOrder: 5))
        let none = ["multi-queue-max-queues": "0", "max-ring-pages": "16"]
        let read = try BackendOffer { none[$0] }
        #expect(read.maximumQueueCount == 1)
        #expect(read.maximumRingPageOrder == 4)
    }

    @Test("What a backend says of its disk is read as it was written")
    func features() throws {
        for features in [
            BackendFeatures(sectorCount: 0, isPersistent: false),
            BackendFeatures(
                sectorCount: 1 << 54, sectorByteCount: 4096, physicalSectorByteCount: 1 << 20,
                info: [.readOnly, .cdrom], canFlush: true, canBarrier: true,
                discard: .init(
                    granularityByteCount: 4096, alignmentByteCount: 512, isSecure: true),
                isPersistent: true),
        ] {
            let table = Self.table(features.entries)
            #expect(try BackendFeatures { table[$0] } == features)
            #expect(
                try BackendFeatures.sectorCount { table[$0] } == features.sectorCount)
        }
        let least = ["sectors": "100"]
        #expect(
            try BackendFeatures { least[$0] }
                == BackendFeatures(sectorCount: 100, isPersistent: false))
        let large = ["sectors": "100", "sector-size": "4096"]
        #expect(try BackendFeatures { large[$0] }.physicalSectorByteCount == 4096)
    }

    @Test(
        "A backend's garbage is refused by name and value",
        arguments: [
            ("sectors", nil), ("sectors", "many"), ("sectors", "-5"),
            ("sectors", "18014398509481985"), ("sectors", "99999999999999999999"),
            ("sector-size", "0"), ("sector-size", "513"), ("sector-size", "8192"),
            ("sector-size", "256"), ("physical-sector-size", "100"),
            ("physical-sector-size", "4294967296"), ("info", "cdrom"), ("feature-discard", "yes"),
            ("feature-flush-cache", "-1"), ("discard-granularity", "x"),
            ("feature-persistent", "1.0"),
        ] as [(String, String?)])
    func wrongBackend(key: String, value: String?) {
        var table = Self.table(
            BackendFeatures(
                sectorCount: 8, discard: .init(granularityByteCount: 512), isPersistent: true
            ).entries)
        table[key] = value
        var refusal = "accepted"
        do throws(HypervisorError) {
            _ = try BackendFeatures { table[$0] }
        } catch {
            refusal = error.description
        }
        #expect(refusal.contains("backend's key '\(key)'"))
        #expect(value.map { refusal.contains($0) } ?? refusal.contains("is missing"))
    }

    @Test(
        "Random keys and values are read or refused, never worse",
        arguments: 0..<64 as Range<UInt64>)
    func garbage(seed: UInt64) {
        var random = SeededRandom(seed: seed)
        let values = [
            "", "0", "1", "2", "3", "4", "31", "4294967295", "4294967296", "-1", "x", "x86_64-abi",
            "1e9", "\u{0}", "99999999999999999999", " 1",
        ]
        for _ in 0..<200 {
            var table = Self.table(
                Self.keys(
                    queues: Int.random(in: 1...4, using: &random),
                    order: Int.random(in: 0...4, using: &random)
                ).entries
                    + BackendFeatures(sectorCount: 9, isPersistent: true).entries
                    .filter { $0.key != "feature-persistent" })
            for key in table.keys.sorted() where Int.random(in: 0..<5, using: &random) == 0 {
                table[key] =
                    Bool.random(using: &random) ? nil : values.randomElement(using: &random)
            }
            let found = table
            let read = try? FrontendKeys(offeredBy: Self.offer) { found[$0] }
            if let read {
                #expect((1...4).contains(read.queues.count))
                #expect(read.ringPageOrder <= 4)
            }
            _ = try? BackendFeatures { found[$0] }
            _ = try? BackendOffer { found[$0] }
        }
    }
}
