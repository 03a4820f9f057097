/// Who may run the guest of a move.
///
/// QEMU's destination starts its guest at the stream's end-of-file mark, so whoever hands the mark
/// on gives the guest away. Each end of a move has one value that says where the guest is, and
/// nothing else ends the move: ``Source`` at the relay, ``Destination`` at the receiver. They do no
/// input or output: an event goes in, and what is to be done comes out, in order.
///
///     source ──── relay ══════════════════════ receiver ──── destination
///                 END length ───────────────▶
///                                              all but the mark, PING ─▶
///                                                           ◀─ PONG
///                 ◀─────────────── PREPARED length
///      ◀─ SHUT 0  (releasing)
///     closes ──▶  (released)
///                 (committing) COMMIT length ▶
///                                              (handing) the mark ─────▶ runs
///                                                         ◀─ SHUT 0
///                 ◀──────────────────── STARTED (started)
///
/// Words in parentheses are written to the journal before what follows them is done. Before
/// *releasing* the source QEMU runs its guest again by itself when its connection ends, also where
/// the relay was killed. From *released* to *handing* the guest runs nowhere and stands whole at
/// the source. After *handing* nobody takes it back.
///
/// What must never be: the source runs its guest, or would by itself, and the mark was handed on.
enum Ownership {
    /// A step of a move, as a journal keeps it.
    enum Step: UInt8, Sendable, CaseIterable {
        /// A move began; nothing was decided.
        case began = 1
        /// The relay tells the source to let go of the guest.
        case releasing = 2
        /// The source has let go: its guest stands still there, whole.
        case released = 3
        /// The relay tells the receiver to hand the mark on.
        case committing = 4
        /// The receiver hands the mark on.
        case handing = 5
        /// Decided: the guest is at the source and runs there.
        case atSource = 6
        /// Decided: the guest is at the source and stands still.
        case standsAtSource = 7
        /// Decided: the receiver has not handed the mark on and never will.
        case refused = 8
        /// Decided: the destination has the guest.
        case atDestination = 9
        /// Decided: the guest is at the source; whether it runs there only the source knows.
        case keptAtSource = 10

        /// Whether nothing is open any more.
        var isFinal: Bool {
            switch self {
            case .began, .releasing, .released, .committing, .handing: false
            case .atSource, .standsAtSource, .keptAtSource, .refused, .atDestination: true
            }
        }
    }

    /// Where a guest is, as an end of its move knows it.
    enum Place: Sendable, Equatable {
        /// At the source, where it runs on.
        case source
        /// At the source, which let go of it: it stands still there, whole.
        case standsAtSource
        /// At the source; whether it runs there or stands still only the source knows.
        case sourceOrStands
        /// At the source, standing still; the move can still go on.
        case undecided
        /// At the destination.
        case destination
        /// At one of both ends.
        case notKnown
    }

    /// What one end tells the other.
    enum Message: Sendable, Hashable {
        /// The relay has sent everything of a stream of so many bytes.
        case end(UInt64)
        /// Everything up to that length but the mark is loaded at the destination.
        case prepared(UInt64)
        /// The mark may go on. Said again it is the question what became of it.
        case commit(UInt64)
        /// The move is given up at the source.
        case abort
        /// The mark was handed on, and the destination has the guest.
        case started
        /// The mark was not handed on and never will be.
        case refused
        /// The receiver does not know what became of the mark.
        case unknown
    }

    /// What an end is to do.
    enum Action: Sendable, Hashable {
        /// Write a step to the journal, before anything that follows.
        case record(Step, length: UInt64)
        /// Say something to the other end.
        case send(Message)
        /// Tell the source that it may let go of the guest.
        case shutSource
        /// Have it confirmed that the source has let go, where somebody can tell.
        case confirmRelease
        /// End the connection to the source.
        case closeSource
        /// Connect to the receiver again and ask what it knows.
        case ask
        /// Hand the mark on, and what is behind it.
        case handOn
        /// End the connection to the destination, or take the file away.
        case closeDestination
    }
}
