internal import RoostMemory
internal import Synchronization

/// How a backend reaches a frontend's pages.
public enum GrantMode: String, Sendable, CaseIterable {
    /// Mapped once and kept. Only for a frontend that has `feature-persistent` = 1.
    case persistent
    /// Mapped for each request, and unmapped before its response.
    case map
    /// Copied through pages of the backend's own, nothing being mapped.
    case copy
}

/// What becomes of a grant that finds no room among the persistent ones.
public enum GrantOverflow: String, Sendable, CaseIterable {
    /// It is mapped for its request only.
    case mapOnce = "map"
    /// Its request fails.
    case refuse
}

/// In which order responses are given.
public enum ResponseOrder: Sendable {
    /// As the requests came: another backend can then take the ring over at any moment, since what
    /// is not answered still lies in its slots.
    case asRequested
    /// As the storage completes them.
    case asCompleted
}

/// What a queue of a backend is to be.
struct BackendConfiguration: Sendable {
    /// How long a persistent grant is kept unused, as Linux does.
    static let usualIdleTime = Duration.seconds(60)
    /// The most segments of an indirect request that the protocol has room for.
    static let indirectSegmentCeiling = 8 * 512

    /// Where things lie in the ring.
    var layout: RingLayout
    var mode = GrantMode.persistent
    var overflow = GrantOverflow.mapOnce
    var order = ResponseOrder.asRequested
    /// The most segments of an indirect request, at most ``indirectSegmentCeiling``; 0 when none
    /// are offered.
    var indirectSegmentLimit = 0
    /// The bound on persistent grants, or `nil` for the usual one.
    var persistentLimit: Int?
    /// How long a persistent grant is kept unused.
    var idleTime = usualIdleTime

    init(layout: RingLayout) {
        self.layout = layout
    }

    /// The most segments of any request.
    var segmentLimit: Int { max(BlockRequest.directSegmentLimit, indirectSegmentLimit) }

    /// What a ring that is full of the largest requests takes, their pages of segments included:
    /// 1,056 for a Linux frontend of one page and 32 segments.
    var usualPersistentLimit: Int {
        layout.slotCount
            &* (segmentLimit
                &+ BlockRequest.indirectPageCount(segments: indirectSegmentLimit))
    }
}

/// What the control plane tells a queue while it runs.
final class BackendControl: Sendable {
    private let sectors: Atomic<UInt64>

    /// Begins with a disk's size.
    init(sectorCount: UInt64) {
        sectors = Atomic(sectorCount)
    }

    /// How many sectors of 512 bytes the disk has; requests taken from now on are checked by it.
    var sectorCount: UInt64 {
        get { sectors.load(ordering: .relaxed) }
        set { sectors.store(newValue, ordering: .relaxed) }
    }
}

/// The time, as a queue sees it: nanoseconds since some moment.
struct BackendClock: Sendable {
    /// A time that a test moves.
    final class Manual: Sendable {
        private let time = Atomic<UInt64>(0)

        var nanoseconds: UInt64 {
            get { time.load(ordering: .relaxed) }
            set { time.store(newValue, ordering: .relaxed) }
        }
    }

    /// The clock's type has no fixed layout; kept apart, it does not take that from a queue.
    private final class Origin: Sendable {
        let instant = ContinuousClock.now
    }

    private let origin = Origin()
    private let manual: Manual?

    /// The system's, or one that a test moves.
    init(_ manual: Manual? = nil) {
        self.manual = manual
    }

    var nanoseconds: UInt64 {
        if let manual { return manual.nanoseconds }
        return origin.instant.duration(to: .now).wholeNanoseconds
    }
}

extension Duration {
    /// The whole nanoseconds of a duration that is not negative; far beyond a century it stays.
    var wholeNanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        return UInt64(min(seconds, 4_000_000_000)) &* 1_000_000_000
            &+ UInt64(attoseconds) / 1_000_000_000
    }
}
