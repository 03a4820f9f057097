/// The state of one end of a split device, as it stands in the end's `state` node
/// (`xen/include/public/io/xenbus.h`).
public enum XenbusState: Int, Sendable, CaseIterable {
    /// No node, or one that cannot be read: the end is gone.
    case unknown = 0
    case initialising = 1
    /// The backend has said what it can do and waits for the frontend.
    case initialisingWait = 2
    /// The frontend has published its rings.
    case initialised = 3
    case connected = 4
    case closing = 5
    case closed = 6
    case reconfiguring = 7
    case reconfigured = 8
}
