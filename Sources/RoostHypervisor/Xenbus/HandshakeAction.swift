/// What an end of a split device is to do, in the order in which it is told.
///
/// If one of them fails, the rest is left and the handshake's `fail(_:)` asked what to do.
public enum HandshakeAction: Equatable, Sendable {
    /// Backend: write what the frontend reads before it makes rings.
    case announce
    /// Frontend: make rings, grants and channels, and write their keys in one transaction.
    case publish
    /// Frontend: read the backend's features and open the disk. Backend: read the frontend's
    /// keys, map its rings, bind its channels, and write its own features in one transaction.
    case connect
    /// Read the size anew (frontend), or write it with state 4 in one transaction (backend).
    case resize
    /// End rings, grants and channels, if there are any.
    case disconnect
    /// Write the end's own state, if its nodes are still there.
    case writeState(XenbusState)
    /// Write the sentence to the end's error node and the log.
    case report(String)
    /// Forget the device.
    case remove
}
