/// What a router is asked to be: namespaces with their ports and routes, and how it works.
///
/// A value with no file behind it. What follows from it is not in it: the routes of the ports' own
/// subnets, their broadcast and link-local addresses are the router's to make.
public struct RouterConfiguration: Equatable, Sendable {
    /// The most namespaces: what an index of 16 bits can name, less one.
    public static let namespaceLimit = 65_535
    /// The most ports of a router; each has descriptors and buffers of its own.
    public static let portLimit = 4096
    /// How many workers there may be.
    public static let workerCounts = 1...16

    /// The namespaces; the first is namespace 0.
    public var namespaces: [NamespaceConfiguration]
    /// How much the collector may do at a time.
    public var collector = CollectorConfiguration()
    /// How many threads forward, one of ``workerCounts``.
    public var workerCount = 1

    /// Describes a router.
    ///
    /// - Parameter namespaces: Its namespaces, at least one.
    public init(namespaces: [NamespaceConfiguration]) {
        self.namespaces = namespaces
    }
}

/// How much the collector of destinations may do at a time.
public struct CollectorConfiguration: Equatable, Sendable {
    /// How many entries a slice may visit.
    public static let sliceEntryCounts = 1...1_000_000
    /// How long a slice may take, in microseconds of thread time.
    public static let sliceMicroseconds = 1...100_000

    /// The most entries that one slice visits.
    public var sliceEntryCount = 256
    /// The most thread time that one slice takes.
    public var sliceTime = Duration.microseconds(40)

    /// The usual bounds.
    public init() {}
}
