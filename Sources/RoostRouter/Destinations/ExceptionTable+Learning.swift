internal import RoostMemory

/// What exceptions learn, and when they forget it.
extension ExceptionTable {
    /// Takes a "too big" message in.
    ///
    /// - Parameters:
    ///   - report: What came; the caller has checked that the quoted packet went this way.
    ///   - place: The destination of the quoted packet, and its next hop.
    ///   - linkMTU: The MTU of the next hop's port, in bytes.
    ///   - table: The entries.
    ///   - operations: Their operations.
    ///   - now: In milliseconds.
    /// - Returns: What became of it.
    mutating func learnPathMTU(
        _ report: PathMTU.Report, of place: ExceptionPlace, linkMTU: UInt16,
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        var (handle, facts) = known(of: place, in: &table, now: now)
        let link = table.slab.link(of: place.nextHop).pathMTU
        let current =
            facts.mtu?.value
            ?? PathMTU.Value(
                byteCount: link == 0 ? linkMTU : link,
                isLocked: table.slab.word(of: place.nextHop).flags.contains(.isMTULocked))
        guard let value = PathMTU.learned(from: report, current: current, family: place.family)
        else { return ignore() }
        facts.learn(value, now: now)
        return apply(
            facts, to: place, known: handle, in: &table, operations: &operations, now: now)
    }

    /// Takes a redirect in.
    ///
    /// What the rules say of its sender and its port, the caller has checked.
    ///
    /// - Parameters:
    ///   - gateway: The better next hop's address, on the next hop's port.
    ///   - neighbour: Its neighbour, usable by now. The exception takes over the caller's claim on it
    ///     when the outcome is `learned` or `updated`; else it stays the caller's.
    ///   - place: The destination, and the next hop by which the packet came to be redirected.
    ///   - table: The entries.
    ///   - operations: Their operations.
    ///   - now: In milliseconds.
    /// - Returns: What became of it.
    mutating func learnRedirect(
        to gateway: (high: UInt64, low: UInt64), neighbour: NeighbourHandle,
        of place: ExceptionPlace, in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        var (handle, facts) = known(of: place, in: &table, now: now)
        let old =
            facts.redirect.map { ($0.high, $0.low) } ?? table.slab.gateway(of: place.nextHop)
        guard old != gateway, !neighbour.isNone,
            Int(neighbour.rawValue) <= limits.greatestNeighbour
        else { return ignore() }
        facts.redirect = ExceptionFacts.Redirect(
            high: gateway.high, low: gateway.low, neighbour: neighbour,
            expires: now + ExceptionFacts.redirectLifetime)
        return apply(
            facts, to: place, known: handle, in: &table, operations: &operations, now: now)
    }

    /// Takes in that a destination cannot be reached.
    ///
    /// Behind a gateway it is the gateway that does not answer: the next hop fails for all of them,
    /// and no entry is made. On the link it is the destination, in an exception of its own.
    ///
    /// - Parameters:
    ///   - error: What its packets are answered with.
    ///   - place: The destination and its next hop.
    ///   - table: The entries.
    ///   - operations: Their operations.
    ///   - now: In milliseconds.
    /// - Returns: What became of it.
    mutating func learnFailure(
        _ error: DestinationError, of place: ExceptionPlace, in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        var (handle, facts) = known(of: place, in: &table, now: now)
        let isOnLink = table.slab.word(of: place.nextHop).flags.contains(.isOnLink)
        guard isOnLink || facts.redirect != nil else {
            return fail(place.nextHop, with: error, in: &table, now: now)
        }
        guard facts.failure == nil else { return ignore() }
        facts.learn(error, now: now)
        return apply(
            facts, to: place, known: handle, in: &table, operations: &operations, now: now)
    }

    /// Has a destination's packets treated as an operator wants; nil ends that.
    ///
    /// - Parameters:
    ///   - policy: What is done with them.
    ///   - place: The destination and its next hop.
    ///   - table: The entries.
    ///   - operations: Their operations.
    ///   - now: In milliseconds.
    /// - Returns: What became of it.
    mutating func setPolicy(
        _ policy: ExceptionFacts.Policy?, of place: ExceptionPlace,
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) -> ExceptionOutcome {
        var (handle, facts) = known(of: place, in: &table, now: now)
        guard facts.policy != policy else { return ignore() }
        facts.policy = policy
        return apply(
            facts, to: place, known: handle, in: &table, operations: &operations, now: now)
    }

    /// Ends what has ended.
    ///
    /// - Parameters:
    ///   - table: The entries.
    ///   - operations: Their operations.
    ///   - now: In milliseconds.
    ///   - budget: How many exceptions and next hops it looks at, at most.
    /// - Returns: Whether all that has ended is gone.
    mutating func expire(
        in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64, budget: Int
    ) -> Bool {
        for _ in 0..<budget {
            guard let thing = timers.popExpired(now: now) else { return true }
            guard members.list(of: thing) != nil else {
                recover(DestinationHandle(rawValue: thing), in: &table)
                continue
            }
            let record = records[Int(thing)]
            var facts = record.facts
            facts.removeExpired(now: now)
            if facts.isEmpty { counts.expired += 1 }
            replaceOrRemove(
                facts, at: record.place, of: thing, in: &table, operations: &operations, now: now)
        }
        return false
    }

    /// A next hop's neighbour answers again: the next hop fails no longer.
    mutating func nextHopAnswered(_ nextHop: DestinationHandle, in table: inout DestinationTable) {
        guard nextHops[nextHop.index].failureExpires != 0 else { return }
        timers.cancel(nextHop.rawValue)
        recover(nextHop, in: &table)
    }

    /// A destination on the link answers: it fails no longer.
    mutating func destinationAnswered(
        _ place: ExceptionPlace, in table: inout DestinationTable,
        operations: inout some DestinationOperations & ~Copyable, now: UInt64
    ) {
        let found = index.keys.find(place.key)
        guard found != 0, records[Int(found)].facts.failure != nil else { return }
        var facts = records[Int(found)].facts
        facts.failure = nil
        replaceOrRemove(
            facts, at: place, of: found, in: &table, operations: &operations, now: now)
    }

    /// What is known and still holds; 0 and nothing when there is no exception.
    private mutating func known(
        of place: ExceptionPlace, in table: inout DestinationTable, now: UInt64
    ) -> (handle: UInt32, facts: ExceptionFacts) {
        let found = index.keys.find(place.key)
        guard found != 0 else { return (0, ExceptionFacts()) }
        let handle = DestinationHandle(rawValue: found)
        let namespace = records[Int(found)].namespace
        guard table.slab.generation(of: handle) == index.generation(of: namespace) else {
            // Nobody finds it any more, and whether it is right is not known.
            remove(found, from: &table, now: now)
            return (0, ExceptionFacts())
        }
        var facts = records[Int(found)].facts
        facts.removeExpired(now: now)
        return (found, facts)
    }

    private mutating func ignore() -> ExceptionOutcome {
        counts.ignored += 1
        return .ignored
    }

    /// Has a next hop answer errors until the failure ends.
    private mutating func fail(
        _ nextHop: DestinationHandle, with error: DestinationError,
        in table: inout DestinationTable, now: UInt64
    ) -> ExceptionOutcome {
        var word = table.slab.word(of: nextHop)
        guard nextHops[nextHop.index].failureExpires == 0, isNextHop(nextHop, in: table),
            word.output == .forward
        else { return ignore() }
        let expires = now + ExceptionFacts.failureLifetime
        nextHops[nextHop.index].failureExpires = expires
        nextHops[nextHop.index].serial = table.slab.id(of: nextHop).serial
        nextHops[nextHop.index].input = word.input.rawValue
        nextHops[nextHop.index].output = word.output.rawValue
        word.input = .answerError
        word.output = .answerError
        word.error = error
        table.slab.store(word, of: nextHop)
        timers.schedule(nextHop.rawValue, at: expires)
        counts.updated += 1
        return .updated
    }

    /// Has a next hop do what it did before it failed.
    mutating func recover(_ nextHop: DestinationHandle, in table: inout DestinationTable) {
        let record = nextHops[nextHop.index]
        nextHops[nextHop.index].failureExpires = 0
        var word = table.slab.word(of: nextHop)
        // What turned to discard meanwhile stays so.
        guard word.input == .answerError, !word.flags.contains(.isKilled),
            table.slab.isCurrent(DestinationID(handle: nextHop, serial: record.serial))
        else { return }
        word.input = DestinationAction(rawValue: record.input) ?? .discard
        word.output = DestinationAction(rawValue: record.output) ?? .discard
        word.error = .none
        table.slab.store(word, of: nextHop)
    }
}
