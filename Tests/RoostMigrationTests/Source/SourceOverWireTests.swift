import Logging
import RoostSystem
import Synchronization
import Testing

@testable import RoostMigration

/// The source's pages on Roost's wire: what it found to be zero, unchanged but for some bytes or
/// compressible stays so between the relays.
@Suite struct SourceOverWireTests {
    @Test("MIG-4 MIG-5 the relays carry the source's deltas and zlib pages as they are")
    func pipelineOverTheWire() async throws {
        let guest = ScriptedGuest(
            [try ScriptedGuest.Block("ram", pages: 300)], seed: 7, writes: 12)
        guest.fill()
        let rig = try MigrationRig(guest)
        let (sourceEnd, relayEnd) = try StreamSocket.pair()
        let (wireOut, wireIn) = try StreamSocket.pair()
        let (receiverEnd, destinationEnd) = try StreamSocket.pair()
        var parameters = MigrationParameters()
        parameters.downtimeLimit = .zero
        parameters.xbzrleCacheByteCount = 1 << 20
        parameters.compression = MigrationParameters.Compression(threads: 2)
        parameters.sendsDigests = true
        let source = try MigrationSource(
            blocks: guest.state.withLock { $0.blocks }.map(\.migrated), tracker: guest,
            guest: guest, throttle: nil, connection: SocketConnection(sourceEnd),
            parameters: parameters,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        let options = RelayOptions(maximumRAMByteCount: 1 << 30)
        let relay = MigrationRelay(source: relayEnd, wire: WireSocket(wireOut), options: options)
        let receiver = MigrationReceiver(
            wire: WireSocket(wireIn), output: .socket(receiverEnd), options: options)
        let destination = MigrationDestination(
            blocks: rig.destination.map(\.migrated), socket: destinationEnd,
            options: DestinationOptions(maximumRAMByteCount: 1 << 30))

        async let loaded = MigrationRig.outcome { () throws(MigrationError) in
            try await destination.run()
        }
        async let received = MigrationRig.outcome { () throws(MigrationError) in
            try await receiver.run()
        }
        async let relayed = MigrationRig.outcome { () throws(MigrationError) in
            try await relay.run()
        }
        let sent = try await source.run()
        let (arrived, carried) = (try await loaded.get(), try await relayed.get())
        _ = try await received.get()

        #expect(rig.difference == nil)
        #expect(arrived.isVerified)
        #expect(carried.deltaPages > 0 && carried.compressedPages > 0 && carried.zeroPages > 0)
        // The destination is given whole pages, so it needs neither.
        #expect(arrived.deltaPages == 0 && arrived.compressedPages == 0)
        #expect(carried.streamBytes == sent.ram.transferred)
        #expect(carried.wireBytes < arrived.streamBytes)
    }
}
