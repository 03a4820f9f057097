internal import Logging

/// What a router is asked while it runs: any thread asks, the processor answers.
extension Router {
    /// What the router is and has done.
    ///
    /// - Throws: `RouterError` of kind `notFound` when the router has ended, or `limit`.
    public func snapshot() throws(RouterError) -> RouterSnapshot {
        let workers = workerCount
        return try ask { processor in processor.snapshot(workerCount: workers) }
    }

    /// The routes, by namespace, family and prefix.
    ///
    /// - Parameters:
    ///   - namespace: Whose, or nil for all.
    ///   - limit: At most how many rows.
    /// - Returns: The rows, and how many there are in all.
    /// - Throws: `RouterError` of kind `notFound` for a namespace that is none, and as ``snapshot()``.
    public func routes(
        in namespace: String?, limit: Int
    ) throws(RouterError) -> Listing<RouteSnapshot> {
        try ask { (processor) throws(RouterError) in
            processor.routes(in: try processor.namespaces(named: namespace), limit: limit)
        }
    }

    /// The destinations, those that wait to be collected too.
    ///
    /// - Parameters:
    ///   - namespace: Whose, or nil for all.
    ///   - limit: At most how many rows.
    /// - Returns: The rows, and how many there are in all.
    /// - Throws: As ``routes(in:limit:)``.
    public func destinations(
        in namespace: String?, limit: Int
    ) throws(RouterError) -> Listing<DestinationSnapshot> {
        try ask { (processor) throws(RouterError) in
            processor.destinations(in: try processor.namespaces(named: namespace), limit: limit)
        }
    }

    /// The neighbours.
    ///
    /// - Parameters:
    ///   - namespace: Whose, or nil for all.
    ///   - limit: At most how many rows.
    /// - Returns: The rows, and how many there are in all.
    /// - Throws: As ``routes(in:limit:)``.
    public func neighbours(
        in namespace: String?, limit: Int
    ) throws(RouterError) -> Listing<NeighbourSnapshot> {
        try ask { (processor) throws(RouterError) in
            processor.neighbourRows(in: try processor.namespaces(named: namespace), limit: limit)
        }
    }

    /// Forgets what was learned about destinations and neighbours.
    ///
    /// - Parameter selector: Which; all that is said has to match.
    /// - Returns: How many were forgotten.
    /// - Throws: As ``routes(in:limit:)``.
    public func flush(_ selector: FlushSelector) throws(RouterError) -> FlushResult {
        try ask { (processor) throws(RouterError) in
            processor.flush(selector, in: try processor.namespaces(named: selector.namespace))
        }
    }

    /// Takes a port up or down, or removes it for good.
    ///
    /// - Returns: How it was before and is now.
    /// - Throws: `RouterError` of kind `notFound` for a port that is none, of kind `limit` when there is no
    ///   room for the routes of one that comes up, which stays down then; and as ``snapshot()``.
    @discardableResult
    public func setPort(_ name: String, _ change: PortChange) throws(RouterError)
        -> PortChangeResult
    {
        let result = try ask { (processor) throws(RouterError) in
            try processor.change(try processor.port(named: name), change)
        }
        if result.isChanged { logger.notice("port \(name): \(change.rawValue)") }
        return result
    }

    /// Has things traced, and answers what was since a record; tracing ends some seconds after the last
    /// call.
    ///
    /// - Parameters:
    ///   - kinds: What to trace.
    ///   - sequence: The last record that is known; nil begins now.
    ///   - limit: At most how many records.
    /// - Returns: The records in order.
    /// - Throws: As ``snapshot()``.
    public func trace(
        _ kinds: Set<TraceKind>, after sequence: UInt64?, limit: Int
    ) throws(RouterError) -> TraceBatch {
        try ask { processor in
            let found = processor.traces.records(
                of: kinds, after: sequence, limit: limit, now: processor.now)
            return TraceBatch(
                records: found.records.map { processor.record($0) }, next: found.next,
                lostCount: found.lost, time: processor.sinceStart(processor.now))
        }
    }
}
