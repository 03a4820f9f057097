@testable import RoostRouter
import Testing

@Suite("Quiescence")
struct QuiescenceTests {
    @Test("an epoch has passed once the batches that began in it have ended")
    func epochs() throws {
        let quiescence = try Quiescence(readerLimit: 2)
        let first = try quiescence.makeReader()
        let second = try quiescence.makeReader()
        #expect(throws: RouterError.self) { _ = try quiescence.makeReader() }
        quiescence.begin(first)
        let retired = quiescence.retire()
        quiescence.begin(second)
        #expect(!quiescence.hasPassed(retired))
        quiescence.end(first)
        #expect(quiescence.hasPassed(retired))
        let later = quiescence.retire()
        #expect(!quiescence.hasPassed(later))
        quiescence.end(second)
        #expect(quiescence.hasPassed(later))
    }
}
