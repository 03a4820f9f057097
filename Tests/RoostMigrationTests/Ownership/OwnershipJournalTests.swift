import Glibc
import StreamSupport
import Testing

@testable import RoostMigration

/// What an end of a move has decided, over the death of its process.
@Suite(.timeLimit(.minutes(1))) struct OwnershipJournalTests {
    private static func begin(
        in folder: String, _ role: OwnershipJournal.Role = .source, key: String = "relay a b",
        _ session: MoveSession = MoveSession()
    ) throws -> OwnershipJournal {
        try OwnershipJournal.begin(in: folder, session, token: MoveSession(), role, key: key)
    }

    @Test func `the last step that was recorded is read back`() throws {
        let folder = try TemporaryFolder()
        let session = MoveSession()
        do {
            let journal = try Self.begin(in: folder.path, .source, key: "relay a b", session)
            try journal.record(.releasing, length: 7)
            try journal.record(.released, length: 8)
        }
        let contents = try #require(OwnershipJournal.all(in: folder.path).first)
        #expect(contents.session == session && contents.role == .source)
        #expect(contents.step == .released && contents.length == 8)
        #expect(contents.key == "relay a b" && !contents.isTold && !contents.isSettled)
        #expect(folder.names == ["\(session).source"])
        #expect(MoveSession("\(session)") == session)
        #expect(MoveSession("g" + "\(session)".dropFirst()) == nil)
        #expect(MoveSession("+" + "\(session)".dropFirst()) == nil)
    }

    @Test func `a record that was not written whole was not acted on`() throws {
        let folder = try TemporaryFolder()
        let session = MoveSession()
        do {
            let journal = try Self.begin(in: folder.path, .source, key: "relay a b", session)
            try journal.record(.releasing, length: 7)
        }
        let bytes = try folder.bytes("\(session).source")
        for place in [576, 580, 599, 639] {
            var torn = bytes
            torn[place] ^= 1
            _ = try folder.file("\(session).source", torn)
            #expect(OwnershipJournal.all(in: folder.path).map(\.step) == [.began])
        }
    }

    @Test func `a journal is held by the process that carries the move`() throws {
        let folder = try TemporaryFolder()
        let session = MoveSession()
        var journal: OwnershipJournal? = try Self.begin(
            in: folder.path, .source, key: "relay a b", session)
        let error = migrationError {
            _ = try OwnershipJournal.take(in: folder.path, session, .source)
        }
        #expect(error?.description.contains("carried by another process") == true)
        #expect(OwnershipJournal.left(in: folder.path, .source, key: "relay a b") == nil)
        withExtendedLifetime(journal) {}
        journal = nil
        #expect(OwnershipJournal.left(in: folder.path, .source, key: "relay a b") != nil)
    }

    @Test func `an outcome that was told does not answer for the next move`() throws {
        let folder = try TemporaryFolder()
        do {
            let journal = try Self.begin(in: folder.path)
            try journal.record(.atDestination, length: 9)
        }
        #expect(OwnershipJournal.left(in: folder.path, .source, key: "relay a c") == nil)
        #expect(OwnershipJournal.left(in: folder.path, .destination, key: "relay a b") == nil)
        OwnershipJournal.left(in: folder.path, .source, key: "relay a b")?.tell()
        #expect(OwnershipJournal.left(in: folder.path, .source, key: "relay a b") == nil)
        #expect(OwnershipJournal.all(in: folder.path).map(\.step) == [.atDestination])
    }

    @Test func `what is no journal, or another version's, is refused in a sentence`() throws {
        let folder = try TemporaryFolder()
        let session = MoveSession()
        do { _ = try Self.begin(in: folder.path, .source, key: "relay a b", session) }
        let sound = try folder.bytes("\(session).source")
        func refusal(_ bytes: [UInt8]) throws -> String {
            _ = try folder.file("\(session).source", bytes)
            let error = migrationError {
                _ = try OwnershipJournal.take(in: folder.path, session, .source)
            }
            return try #require(error).description
        }
        var other = sound
        other[9] = 2
        #expect(try refusal(other).contains("another version of Roost"))
        for bytes in [[], Array(sound.dropLast()), [UInt8](repeating: 0, count: sound.count)] {
            #expect(try refusal(bytes).contains("no journal of a move, or damaged"))
        }
        for place in [10, 20, 40, 50, 60, 508] {
            var damaged = sound
            damaged[place] ^= 1
            #expect(try refusal(damaged).contains("no journal of a move, or damaged"))
            #expect(OwnershipJournal.all(in: folder.path).isEmpty)
        }
    }

    @Test func `old outcomes make room, open moves stay`() throws {
        let folder = try TemporaryFolder()
        do { _ = try Self.begin(in: folder.path, key: "open") }
        for _ in 0..<140 {
            let journal = try Self.begin(in: folder.path)
            try journal.record(.atSource, length: 0)
            journal.tell()
        }
        let kept = OwnershipJournal.all(in: folder.path)
        #expect(kept.count <= 131)
        #expect(kept.contains { $0.key == "open" })
    }

    // MARK: What a killed command left

    @Test(arguments: [
        (Ownership.Step.began, true), (.atSource, true), (.releasing, false), (.released, false),
        (.committing, false), (.standsAtSource, false), (.atDestination, false),
    ])
    func `a relay that was killed answers for what it had decided`(
        step: Ownership.Step, isEnded: Bool
    ) throws {
        let folder = try TemporaryFolder()
        do { try Self.begin(in: folder.path).record(step, length: 3) }
        switch try MigrationRelay.left(in: folder.path, key: "relay a b") {
        case .none: Issue.record("nothing was left")
        case .ended(let sentence):
            #expect(isEnded && sentence.contains("stayed at the source"))
            guard case .none = try MigrationRelay.left(in: folder.path, key: "relay a b") else {
                Issue.record("it is told twice")
                return
            }
        case .open: #expect(!isEnded)
        }
    }

    @Test(arguments: [
        (Ownership.Step.began, true), (.refused, true), (.handing, false), (.atDestination, false),
    ])
    func `a receiver that was killed answers for what it had decided`(
        step: Ownership.Step, isEnded: Bool
    ) throws {
        let folder = try TemporaryFolder()
        do { try Self.begin(in: folder.path, .destination).record(step, length: 3) }
        switch try MigrationReceiver.left(in: folder.path, key: "relay a b", file: nil) {
        case .none: Issue.record("nothing was left")
        case .ended(let sentence):
            #expect(isEnded && sentence.contains("nothing of it was started"))
            #expect(OwnershipJournal.all(in: folder.path).map(\.step) == [.refused])
        case .open: #expect(!isEnded)
        }
    }

    @Test func `whether a file has its name is looked at`() throws {
        for isThere in [true, false] {
            let folder = try TemporaryFolder()
            let files = try TemporaryFolder()
            do {
                try Self.begin(in: folder.path, .destination).record(.handing, length: 5)
            }
            if isThere { _ = try files.file("guest", [1, 2, 3, 4, 5]) }
            let left = try MigrationReceiver.left(
                in: folder.path, key: "relay a b", file: files("guest"))
            switch left {
            case .open(let journal): #expect(isThere && journal.now.step == .atDestination)
            case .ended: #expect(!isThere)
            case .none: Issue.record("nothing was left")
            }
        }
    }

    // MARK: A person's word

    private static func settle(
        _ steps: [(OwnershipJournal.Role, Ownership.Step)], to side: Resolution.Side,
        _ destinationHasEnded: Bool = false, in folder: TemporaryFolder
    ) throws -> [Resolution.Knowledge] {
        let session = MoveSession()
        for (role, step) in steps {
            try begin(in: folder.path, role, key: "relay a b", session).record(step, length: 1)
        }
        return try Resolution.settle(
            session, in: folder.path, to: side, destinationHasEnded: destinationHasEnded)
    }

    @Test func `a move that stands still at the source is given back`() throws {
        for step in [Ownership.Step.began, .releasing, .released, .standsAtSource] {
            let folder = try TemporaryFolder()
            let known = try Self.settle([(.source, step)], to: .source, in: folder)
            #expect(known.map(\.guest) == ["source"])
        }
    }

    @Test func `one that may have been handed on needs a word about the destination`() throws {
        for ends in [
            [(OwnershipJournal.Role.source, Ownership.Step.committing)],
            [(.destination, .handing)], [(.source, .committing), (.destination, .handing)],
        ] {
            let folder = try TemporaryFolder()
            #expect(throws: MigrationError.self) {
                try Self.settle(ends, to: .source, in: folder)
            }
            // Nothing was written at either end.
            #expect(OwnershipJournal.all(in: folder.path).allSatisfy { !$0.isSettled })
            let other = try TemporaryFolder()
            let known = try Self.settle(ends, to: .source, true, in: other)
            #expect(known.allSatisfy { $0.guest == "source" && $0.isSettled })
        }
    }

    @Test func `what was settled is not contradicted`() throws {
        let folder = try TemporaryFolder()
        let session = MoveSession()
        do {
            try Self.begin(in: folder.path, .source, key: "a", session).record(
                .committing, length: 1)
        }
        func settle(_ side: Resolution.Side) throws {
            _ = try Resolution.settle(
                session, in: folder.path, to: side, destinationHasEnded: true)
        }
        try settle(.destination)
        try settle(.destination)
        let error = migrationError {
            _ = try Resolution.settle(
                session, in: folder.path, to: .source, destinationHasEnded: true)
        }
        #expect(error?.description.contains("cannot be settled so") == true)
        #expect(OwnershipJournal.all(in: folder.path).map(\.step) == [.atDestination])
    }

    @Test func `a guest that was not handed on is not at the destination`() throws {
        for step in [Ownership.Step.began, .released, .atSource, .standsAtSource, .keptAtSource] {
            let folder = try TemporaryFolder()
            #expect(throws: MigrationError.self) {
                try Self.settle([(.source, step)], to: .destination, in: folder)
            }
        }
    }

    @Test func `a move that is not known here is said to be`() throws {
        let folder = try TemporaryFolder()
        let error = migrationError {
            _ = try Resolution.settle(
                MoveSession(), in: folder.path, to: .source, destinationHasEnded: false)
        }
        #expect(error?.description.contains("knows of no move") == true)
    }
}
