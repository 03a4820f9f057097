import RoostMemory
import RoostSystem
import StreamSupport
import Testing

@testable import RoostMigration

/// The end of a move, step by step: who has the guest, and what each end says of it (MIG-21).
@Suite(.serialized, .timeLimit(.minutes(2))) struct RelayEndTests {
    static let answered = "7.2-q35-return-path.to-destination"

    /// Whether the destination was given the mark: it holds a stream that reads whole.
    private static func isStarted(_ outcome: RelayRig.Outcome) -> Bool {
        (try? verify(outcome.stream)) != nil && outcome.stream.last == UInt8(ascii: "}")
    }

    private func run(
        _ change: (inout RelayRig) -> Void, location: SourceLocation = #_sourceLocation
    ) async throws -> RelayRig.Outcome {
        var rig = try RelayTests.rig(Self.answered)
        change(&rig)
        let outcome = try await rig.run()
        #expect(await outcome.leavesNothing, sourceLocation: location)
        return outcome
    }

    // MARK: Between SHUT and the source's end

    @Test func `a cancellation while the source lets go keeps the guest there`() async throws {
        for cancelsRelay in [true, false] {
            let outcome = try await run { rig in
                rig.afterShut = { relay, receiver in
                    if cancelsRelay { relay.cancel() } else { receiver.cancel() }
                }
            }
            // Whichever came first, the two ends agree.
            if Self.isStarted(outcome) {
                _ = try outcome.relay.get()
                _ = try outcome.receiver.get()
            } else {
                let error = try #require(outcome.relay.error)
                #expect(error.description.contains("was not started at the destination"))
                #expect(outcome.receiver.error != nil)
            }
        }
    }

    @Test func `a wire that is cut while the source lets go keeps the guest there`() async throws {
        let outcome = try await run { $0.atShut = { proxy in proxy.cut() } }
        #expect(!Self.isStarted(outcome))
        let error = try #require(outcome.relay.error)
        #expect(error.description.contains("was not started at the destination"), "\(error)")
        #expect(outcome.receiver.error?.description.contains("relay") == true)
    }

    // MARK: After the mark

    @Test func `a cancellation after the mark is too late`() async throws {
        let outcome = try await run { rig in
            rig.atMark = { _, relay, receiver in
                relay.cancel()
                receiver.cancel()
            }
        }
        _ = try outcome.relay.get()
        _ = try outcome.receiver.get()
        #expect(Self.isStarted(outcome))
    }

    @Test func `a wire that is cut after the mark leaves the relay in doubt`() async throws {
        let outcome = try await run { $0.atMark = { proxy, _, _ in proxy.cut() } }
        _ = try outcome.receiver.get()
        #expect(Self.isStarted(outcome))
        let error = try #require(outcome.relay.error)
        #expect(error.description.contains("it is not known where the guest is"), "\(error)")
        #expect(error.description.contains("do not continue it at the source"))
    }

    @Test func `a destination that goes without a word after the mark is not known`() async throws {
        let whole = try await run { _ in }
        let outcome = try await run { $0.destinationCloses = whole.delivered.count - 1 }
        for error in [outcome.relay.error, outcome.receiver.error] {
            #expect(
                error?.description.contains("it is not known where the guest is") == true,
                "\(error as MigrationError?)")
        }
    }

    // MARK: A source that does not wait

    @Test func `a source without a return path stands still when its move fails at the end`()
        async throws
    {
        var rig = try RelayTests.rig("7.2-q35-paused.stream")
        rig.verdict = 1
        let outcome = try await rig.run()
        let error = try #require(outcome.relay.error)
        #expect(error.description.contains("stands still at the source, whole"), "\(error)")
    }

    // MARK: The memory

    /// The frames are sound: only the digests tell.
    @Test(arguments: ["7.2-q35-paused.stream", answered])
    func `MIG-18 memory that arrives otherwise is named, and the guest stays`(
        file: String
    ) async throws {
        var rig = try RelayTests.rig(file)
        rig.wireFault = .alterPage
        let outcome = try await rig.run()
        #expect(!Self.isStarted(outcome))
        for error in [outcome.relay.error, outcome.receiver.error] {
            let error = try #require(error)
            #expect(error.description.contains("the receiver's memory is not the source's"))
            #expect(error.description.contains("block pc.ram, 2097152 bytes from 0x"), "\(error)")
        }
        #expect(outcome.relay.error?.block == "pc.ram")
        // The source has not let go of it.
        #expect(outcome.answered.suffix(8) != [0, 1, 0, 4, 0, 0, 0, 0])
    }
}
