internal import RoostMemory
package import RoostSystem
internal import SystemPackage

/// A connection to the other end of a move, and what its transport knows of it.
package struct WireSocket: Sendable {
    /// The connection, which blocks.
    package let socket: StreamSocket
    /// Why the transport broke, where it knows more than the socket.
    let fault: @Sendable () -> String?
    /// Ends the transport when the move is done with it.
    let close: @Sendable () async -> Void

    /// Describes a connection.
    ///
    /// - Parameters:
    ///   - socket: The connection, which blocks.
    ///   - fault: Why the transport broke, where it knows more than the socket.
    ///   - close: Ends the transport when the move is done with it.
    package init(
        _ socket: StreamSocket, fault: @escaping @Sendable () -> String? = { nil },
        close: @escaping @Sendable () async -> Void = {}
    ) {
        self.socket = socket
        self.fault = fault
        self.close = close
    }
}

/// One connection of Roost's wire: frames both ways, and whether the other side is still there.
///
/// Nothing here waits: the engine that owns it waits for all its sockets at once. Owned by one
/// thread.
struct WireLink: ~Copyable, Sendable {
    /// How a connection ends.
    enum End: Sendable, Equatable {
        /// The other side has closed it.
        case closed
        /// It broke.
        case broken(Errno)
        /// Nothing was heard for longer than the link's timeout.
        case silent
    }

    /// The connection; `nil` where there is none, or none any more.
    private(set) var wire: WireSocket?
    /// What came and was not taken yet.
    var reader = FrameReader()
    /// What goes.
    var writer = FrameWriter()
    /// How long the other side may be silent.
    let timeout: Duration
    /// How many bytes went, and how many of those the other side has acknowledged.
    private(set) var sentByteCount: UInt64 = 0
    private var acknowledgedByteCount: UInt64 = 0
    /// Whether acknowledgements are waited for, which the receiving side does not send.
    private let hasWindow: Bool
    private var lastHeard = ContinuousClock.now
    private var lastSaid = ContinuousClock.now
    /// How the input ended, once it has.
    private(set) var end: End?
    /// Whether nothing can be sent any more.
    private(set) var isMute = false

    /// Takes over a connection.
    ///
    /// - Parameters:
    ///   - wire: The connection.
    ///   - timeout: How long the other side may be silent, above zero.
    ///   - hasWindow: Whether this side sends the stream, which the other one acknowledges.
    init(_ wire: WireSocket, timeout: Duration, hasWindow: Bool) {
        self.wire = wire
        self.timeout = timeout
        self.hasWindow = hasWindow
        wire.socket.setLinkTimeout(timeout)
    }

    /// Makes a link that is not connected.
    ///
    /// - Parameter timeout: As of one that is.
    init(absent timeout: Duration) {
        wire = nil
        self.timeout = timeout
        hasWindow = false
        end = .closed
        isMute = true
    }

    /// Whether there is a connection.
    var isPresent: Bool { wire != nil }

    /// Closes the connection.
    mutating func close() {
        wire?.socket.shutdown(.both)
        wire = nil
        mute()
    }

    // MARK: Sending

    /// How many bytes may go now.
    private var allowance: Int {
        guard hasWindow else { return .max }
        return WireFormat.window - Int(clamping: sentByteCount - acknowledgedByteCount)
    }

    /// Whether there is something to send that may go.
    var wantsOutput: Bool { !isMute && !writer.output.isEmpty && allowance > 0 }

    /// Sends what may go and what there is room for.
    mutating func drain() {
        writer.close()
        if isMute { writer.output.removeAll() }
        while wantsOutput, let socket = wire?.socket {
            let count = min(writer.output.count, allowance)
            do throws(Errno) {
                let sent = try socket.sendNow(writer.output.bytes.extracting(0..<count))
                guard sent > 0 else { return }
                writer.output.removeFirst(sent)
                sentByteCount += UInt64(sent)
                lastSaid = .now
            } catch {
                // What the other side has said before it went is still to be read.
                isMute = true
            }
        }
    }

    /// Sends no more, from now on.
    mutating func mute() {
        isMute = true
        writer.output.removeAll()
    }

    /// Says that nothing more will be sent, once all was.
    mutating func endSending() {
        guard writer.output.isEmpty, !isMute else { return }
        isMute = true
        wire?.socket.shutdown(.writing)
    }

    /// Takes the other side's acknowledgement.
    ///
    /// - Returns: Whether it can be true.
    mutating func acknowledge(_ byteCount: UInt64) -> Bool {
        guard byteCount <= sentByteCount, byteCount >= acknowledgedByteCount else { return false }
        acknowledgedByteCount = byteCount
        return true
    }

    // MARK: Hearing

    /// Whether what comes is read and forgotten, since it made no sense.
    private(set) var isDeaf = false

    /// Reads and forgets what comes from now on.
    mutating func deafen() {
        isDeaf = true
        reader.input.removeAll()
    }

    /// Whether more can be read.
    var wantsInput: Bool { end == nil && reader.input.room > 0 }

    /// Reads what is there; to be called when the socket is ready for it.
    mutating func fill() {
        guard wantsInput, let socket = wire?.socket else { return }
        do throws(Errno) {
            guard try reader.input.fill(from: socket.descriptor) > 0 else {
                end = .closed
                return
            }
            lastHeard = .now
            if isDeaf { reader.input.removeAll() }
        } catch {
            end = .broken(error)
        }
    }

    /// What of the socket is waited for.
    var interest: (StreamSocket, StreamSocket.Readiness)? {
        var readiness: StreamSocket.Readiness = []
        if wantsInput { readiness.insert(.input) }
        if wantsOutput { readiness.insert(.output) }
        guard let socket = wire?.socket, !readiness.isEmpty else { return nil }
        return (socket, readiness)
    }

    // MARK: Time

    /// When to look again whether the other side is there, and to say that this one is.
    var nextLook: ContinuousClock.Instant? {
        end == nil ? min(lastSaid + timeout / 4, lastHeard + timeout) : nil
    }

    /// Says that this side is there, when it has said nothing else for long.
    mutating func beat() {
        guard ContinuousClock.now >= lastSaid + timeout / 4 else { return }
        lastSaid = .now
        // What waits to go says as much, as soon as it may.
        if writer.output.isEmpty, !isMute { writer.frame(.beat) }
    }

    /// Notes a connection whose other side has said nothing for too long.
    ///
    /// - Parameter isReading: Whether all that came was read: what lies unread was said in time.
    mutating func checkSilence(isReading: Bool) {
        guard isReading else {
            lastHeard = .now
            return
        }
        if end == nil, ContinuousClock.now >= lastHeard + timeout { end = .silent }
    }
}
