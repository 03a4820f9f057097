@testable import RoostBlock

/// What a thread does to memory that others share, one step at a time.
enum ModelStep: Hashable {
    case load(RingWord)
    case store(UInt32, RingWord)
    case fence
    /// Tells another thread to look; a system call, which is a fence too.
    case notify(Int)
    /// Sleeps until this thread is told to look.
    case sleep
}

/// One thread of a model, as far as it has come: code is run from its begin with the answers that
/// memory has given so far, and stops counting at the first step that has none.
final class ModelThread: RingMemory {
    private let answers: [UInt32]
    private var taken = 0
    private let hasFence: Bool
    /// What the thread does next, or `nil` when it is at its end.
    private(set) var next: ModelStep?

    init(answers: [UInt32], hasFence: Bool) {
        self.answers = answers
        self.hasFence = hasFence
    }

    /// Whether the code is beyond the answers: it is to end without another step.
    var isBeyond: Bool { next != nil }

    @discardableResult
    func perform(_ step: ModelStep) -> UInt32 {
        guard next == nil else { return 0 }
        guard taken < answers.count else {
            next = step
            return 0
        }
        taken += 1
        return answers[taken - 1]
    }

    func loadAcquiring(_ word: RingWord) -> UInt32 { perform(.load(word)) }
    func loadRelaxed(_ word: RingWord) -> UInt32 { perform(.load(word)) }
    func storeReleasing(_ value: UInt32, to word: RingWord) { perform(.store(value, word)) }
    func storeRelaxed(_ value: UInt32, to word: RingWord) { perform(.store(value, word)) }
    func fence() { if hasFence { perform(.fence) } }
}

/// The model of x86's memory: each thread's stores wait in a queue of its own, which it sees and
/// others do not, and reach memory one by one at any later time ("x86-TSO", Sewell and others,
/// 2010).
struct ModelState: Hashable {
    struct Store: Hashable {
        var value: UInt32
        var word: RingWord
    }

    var memory: [RingWord: UInt32]
    var queues: [[Store]]
    var answers: [[UInt32]]
    var isTold: [Bool]
}

/// Tries every order in which threads and their stores can go.
struct RingModel {
    /// What each thread does.
    let programs: [(ModelThread) -> Void]
    /// Whether its fences are there.
    let fences: [Bool]

    /// What the search has found.
    struct Outcome {
        /// How many states there are.
        var stateCount = 0
        /// How many of them are an end of all threads.
        var goodEndCount = 0
        /// How many are a thread asleep that nobody will wake.
        var lostCount = 0
    }

    func search(from memory: [RingWord: UInt32]) -> Outcome {
        let nothing = programs.map { _ in [UInt32]() }
        let start = ModelState(
            memory: memory, queues: programs.map { _ in [] }, answers: nothing,
            isTold: programs.map { _ in false })
        var outcome = Outcome()
        var seen: Set<ModelState> = [start]
        var open = [start]
        while let state = open.popLast() {
            outcome.stateCount += 1
            let steps = programs.indices.map { next(of: $0, in: state) }
            let following = programs.indices.flatMap {
                successors(of: state, thread: $0, steps[$0])
            }
            if following.isEmpty {
                if steps.allSatisfy({ $0 == nil }) {
                    outcome.goodEndCount += 1
                } else {
                    outcome.lostCount += 1
                }
            }
            for state in following where seen.insert(state).inserted { open.append(state) }
        }
        return outcome
    }

    private func next(of thread: Int, in state: ModelState) -> ModelStep? {
        let model = ModelThread(answers: state.answers[thread], hasFence: fences[thread])
        programs[thread](model)
        return model.next
    }

    private func successors(
        of state: ModelState, thread: Int, _ step: ModelStep?
    ) -> [ModelState] {
        var found: [ModelState] = []
        if let first = state.queues[thread].first {
            var drained = state
            drained.queues[thread].removeFirst()
            drained.memory[first.word] = first.value
            found.append(drained)
        }
        guard let step else { return found }
        var after = state
        var answer: UInt32 = 0
        switch step {
        case .load(let word):
            answer =
                state.queues[thread].last { $0.word == word }?.value ?? state.memory[word] ?? 0
        case .store(let value, let word):
            after.queues[thread].append(ModelState.Store(value: value, word: word))
        case .fence:
            guard state.queues[thread].isEmpty else { return found }
        case .notify(let other):
            guard state.queues[thread].isEmpty else { return found }
            after.isTold[other] = true
        case .sleep:
            guard state.isTold[thread] else { return found }
            after.isTold[thread] = false
        }
        after.answers[thread].append(answer)
        return found + [after]
    }
}
