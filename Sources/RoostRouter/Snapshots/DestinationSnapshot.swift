/// A destination entry.
public struct DestinationSnapshot: Equatable, Sendable {
    /// What it stands for.
    public enum Kind: String, Sendable {
        /// A router that routes lead to.
        case nextHop = "next-hop"
        /// Everybody on a link, each their own next hop.
        case link
        /// One destination about which something was learned or decided.
        case exception
        /// An address of the router itself.
        case local
        /// A route that forwards nothing.
        case discard
        /// An entry on the garbage list.
        case garbage
    }

    /// The namespace's name.
    public var namespace: String
    /// What it stands for.
    public var kind: Kind
    /// The port's name; nil for the blackhole's.
    public var port: String?
    /// The destination, of an exception.
    public var address: IPAddress?
    /// The first prefixes whose routes lead here: links, the router's addresses, what lies behind a next
    /// hop.
    public var prefixes: [IPPrefix] = []
    /// How many routes lead here.
    public var routeCount = 0
    /// The next hop.
    public var gateway: IPAddress?
    /// What becomes of packets that come in: `forward`, `deliver`, `error`, `discard`.
    public var inputAction: String
    /// What becomes of packets that go out: `forward`, `discard`.
    public var outputAction: String
    /// The longest packet that it takes, in bytes.
    public var pathMTU = 0
    /// How long it will last; nil for as long as it is wanted.
    public var expires: Duration?
    /// The error that packets to it are answered with.
    public var error: String?
    /// Why it is no longer wanted.
    public var obsolete: String?
    /// Counted references to it.
    public var references = 0
    /// Packets that used it.
    public var uses: UInt64 = 0
    /// How long ago it was used last; nil for never.
    public var sinceUsed: Duration?
    /// The state of its neighbour, where it has one.
    public var neighbourState: String?

    /// Describes an entry.
    public init(
        namespace: String, kind: Kind, port: String?, inputAction: String, outputAction: String
    ) {
        self.namespace = namespace
        self.kind = kind
        self.port = port
        self.inputAction = inputAction
        self.outputAction = outputAction
    }
}
