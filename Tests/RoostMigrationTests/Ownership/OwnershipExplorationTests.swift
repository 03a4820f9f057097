import Testing

@testable import RoostMigration

/// Everything that can happen to a move, in every order: never two owners, and each end says what is.
@Suite(.timeLimit(.minutes(5))) struct OwnershipExplorationTests {
    /// What an exploration found.
    struct Found {
        var states = 0
        var depth = 0
        /// What was wrong first, and the steps to it.
        var fault: String?
        var steps: [String] = []
    }

    /// Looks at every world that can come about, those first that need the fewest steps.
    private static func explore(
        _ setting: MoveWorld.Setting, _ faults: MoveWorld.Faults,
        _ mutant: MoveWorld.Mutant? = nil
    ) -> Found {
        let first = MoveWorld(setting, faults)
        var numbers: [MoveWorld: Int] = [first: 0]
        var worlds = [first]
        var parents: [(parent: Int, step: String, depth: Int)] = [(-1, "", 0)]
        var before: [[Int]] = [[]]
        var found = Found()
        func steps(to index: Int) -> [String] {
            var (index, steps) = (index, [String]())
            while parents[index].parent >= 0 {
                steps.append(parents[index].step)
                index = parents[index].parent
            }
            return steps.reversed()
        }
        var index = 0
        while index < worlds.count {
            let world = worlds[index]
            if let fault = world.fault {
                (found.fault, found.steps) = (fault, steps(to: index))
                break
            }
            for next in world.next(mutant) {
                let number = numbers[next.world] ?? worlds.count
                if number == worlds.count {
                    numbers[next.world] = number
                    worlds.append(next.world)
                    parents.append((index, next.name, parents[index].depth + 1))
                    before.append([])
                }
                if !next.isFault { before[number].append(index) }
            }
            found.depth = parents[index].depth
            index += 1
        }
        found.states = worlds.count
        if found.fault == nil, let stuck = Self.stuck(worlds, before) {
            (found.fault, found.steps) = ("it does not end", steps(to: stuck))
        }
        return found
    }

    /// A world from which nobody gets through although nothing more goes wrong.
    private static func stuck(_ worlds: [MoveWorld], _ before: [[Int]]) -> Int? {
        var ends = worlds.indices.filter { worlds[$0].isThrough }
        var reaches = [Bool](repeating: false, count: worlds.count)
        for index in ends { reaches[index] = true }
        while let index = ends.popLast() {
            for earlier in before[index] where !reaches[earlier] {
                reaches[earlier] = true
                ends.append(earlier)
            }
        }
        return reaches.firstIndex(of: false)
    }

    static let settings: [(String, MoveWorld.Setting, MoveWorld.Faults)] = [
        ("return path", .init(), .init(operatorCancels: 1, lostJournals: 1)),
        (
            "return path, two of each", .init(),
            .init(cuts: 2, relayKills: 2, receiverKills: 2, relayCancels: 0, receiverCancels: 0)
        ),
        (
            "monitor", .init(hasMonitor: true),
            .init(operatorCancels: 1, unseenCancels: 1, lostJournals: 1)
        ),
        ("no return path", .init(opensReturnPath: false), .init(lostJournals: 1)),
    ]

    @Test(arguments: settings.indices)
    func `MIG-21 never two owners, whatever fails in whatever order`(index: Int) {
        let (name, setting, faults) = Self.settings[index]
        let start = ContinuousClock.now
        let found = Self.explore(setting, faults)
        print(
            "ownership, \(name): \(found.states) states, \(found.depth) steps deep, "
                + "\(start.duration(to: .now))")
        #expect(found.fault == nil, "\(found.fault ?? ""):\n\(found.steps.joined(separator: "\n"))")
        #expect(found.states > 1000)
    }

    @Test(arguments: MoveWorld.Mutant.allCases)
    func `a rule that is dropped is found out`(mutant: MoveWorld.Mutant) {
        let found = Self.explore(.init(), .init(lostJournals: 1), mutant)
        print(
            "ownership without a rule, \(mutant): \(found.fault ?? "nothing"), \(found.depth) steps"
        )
        #expect(found.fault != nil && found.fault != "it does not end")
    }
}
