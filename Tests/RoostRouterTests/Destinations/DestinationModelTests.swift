import Testing

@testable import RoostRouter

@Suite("Destination entries against a model")
struct DestinationModelTests {
    @Test(
        "NET-1, NET-2, NET-4, NET-5, NET-7, NET-8, NET-9, NET-17: the invariants hold in any interleaving",
        arguments: 0..<8 as Range<UInt64>)
    func invariants(seed: UInt64) throws {
        var model = try DestinationModel(seed: seed)
        var steps = 0
        while steps < 2500, model.failures.isEmpty {
            model.step()
            steps += 1
        }
        #expect(model.failures == [], "seed \(seed), step \(steps)")
        model.finish()
        #expect(model.failures == [], "seed \(seed), at the end")
        #expect(model.table.count == 0)
        #expect(model.operations.destroyed.count > 200)
    }
}
