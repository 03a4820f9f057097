import Testing

@testable import RoostBlock

@Suite("Who is woken, in every order that a processor may choose")
struct RingModelTests {
    /// Shows `count` slots, one at a time.
    private static func producer(
        _ count: Int, from start: UInt32, index: RingWord, event: RingWord
    ) -> (ModelThread) -> Void {
        { memory in
            var producer = RingProducer(at: start, index: index, event: event)
            for _ in 0..<count where !memory.isBeyond {
                producer.advance()
                if producer.publish(memory) { memory.perform(.notify(1)) }
            }
        }
    }

    /// Takes `count` slots, and sleeps whenever there is none.
    private static func consumer(
        _ count: Int, from start: UInt32, index: RingWord, event: RingWord
    ) -> (ModelThread) -> Void {
        { memory in
            var consumer = RingConsumer(at: start, index: index, event: event)
            var taken = 0
            while taken < count, !memory.isBeyond {
                repeat {
                    guard case .slots(let waiting) = consumer.look(most: 8, memory) else { return }
                    for _ in 0..<waiting { consumer.advance() }
                    taken += waiting
                } while consumer.rearm(memory) && !memory.isBeyond
                if taken < count { memory.perform(.sleep) }
            }
        }
    }

    private static func oneWay(
        _ count: Int, from start: UInt32, isResponse: Bool, fences: [Bool]
    ) -> RingModel.Outcome {
        let index: RingWord = isResponse ? .responseProducer : .requestProducer
        let event: RingWord = isResponse ? .responseEvent : .requestEvent
        let model = RingModel(
            programs: [
                producer(count, from: start, index: index, event: event),
                consumer(count, from: start, index: index, event: event),
            ], fences: fences)
        return model.search(from: [index: start, event: start &+ 1])
    }

    @Test(
        "Nobody sleeps while there is work, whichever way the slots go",
        arguments: [1, 2, 3, 4], [0, UInt32.max - 1])
    func nobodySleepsWhileThereIsWork(count: Int, start: UInt32) {
        for isResponse in [false, true] {
            let outcome = Self.oneWay(
                count, from: start, isResponse: isResponse, fences: [true, true])
            #expect(outcome.lostCount == 0)
            #expect(outcome.goodEndCount > 0)
            #expect(outcome.stateCount > 20 * count)
        }
    }

    @Test(
        "Without either end's fence a wake-up is lost, and the search finds it",
        arguments: [[false, true], [true, false], [false, false]])
    func missingFenceIsFound(fences: [Bool]) {
        let outcome = Self.oneWay(2, from: 0, isResponse: false, fences: fences)
        #expect(outcome.lostCount > 0)
    }

    /// A frontend that asks `count` times with at most `depth` open, and sleeps for its responses.
    private static func frontend(_ count: Int, depth: Int) -> (ModelThread) -> Void {
        { memory in
            var requests = RingProducer(at: 0, index: .requestProducer, event: .requestEvent)
            var responses = RingConsumer(at: 0, index: .responseProducer, event: .responseEvent)
            while responses.next < count, !memory.isBeyond {
                while requests.next < count, requests.next &- responses.next < depth {
                    requests.advance()
                }
                if requests.publish(memory) { memory.perform(.notify(1)) }
                let before = responses.next
                repeat {
                    let open = requests.next &- responses.next
                    guard case .slots(let waiting) = responses.look(most: open, memory) else {
                        return
                    }
                    for _ in 0..<waiting { responses.advance() }
                } while responses.rearm(memory) && !memory.isBeyond
                if responses.next == before { memory.perform(.sleep) }
            }
        }
    }

    /// A backend that answers `count` times, and sleeps when nothing is asked.
    private static func backend(_ count: Int) -> (ModelThread) -> Void {
        { memory in
            var requests = RingConsumer(at: 0, index: .requestProducer, event: .requestEvent)
            var responses = RingProducer(at: 0, index: .responseProducer, event: .responseEvent)
            while requests.next < count, !memory.isBeyond {
                repeat {
                    guard case .slots(let waiting) = requests.look(most: 8, memory) else { return }
                    for _ in 0..<waiting {
                        requests.advance()
                        responses.advance()
                    }
                    if responses.publish(memory) { memory.perform(.notify(0)) }
                } while requests.rearm(memory) && !memory.isBeyond
                if requests.next < count { memory.perform(.sleep) }
            }
        }
    }

    @Test(
        "A frontend and a backend that wake each other never both sleep",
        arguments: [(1, 2), (2, 4)])
    func bothEndsTogether(depth: Int, count: Int) {
        func search(_ fences: [Bool]) -> RingModel.Outcome {
            RingModel(
                programs: [Self.frontend(count, depth: depth), Self.backend(count)], fences: fences
            ).search(from: [.requestEvent: 1, .responseEvent: 1])
        }
        let outcome = search([true, true])
        #expect(outcome.lostCount == 0)
        #expect(outcome.goodEndCount > 0)
        #expect(search([false, true]).lostCount > 0)
        #expect(search([true, false]).lostCount > 0)
    }
}
