import RoostMemory
import Synchronization
import SystemPackage
import TestSupport

@testable import RoostBlock

/// Sectors in memory, which fail, wait and complete in whatever order a test wants.
final class FakeDisk: Sendable {
    /// When requests complete.
    enum Pace: Sendable {
        /// At once.
        case immediately
        /// When asked for, in an order of its own.
        case shuffled(seed: UInt64)
        /// When the test lets them, which it does by number.
        case held
    }

    struct State {
        var bytes: [UInt8]
        var log: [String] = []
        var submitted = 0
        /// Which request fails, counted from 0; none if negative.
        var failing = -1
        var failure = Errno.ioError
        /// Numbers of held requests that may complete.
        var allowed: Set<Int> = []
        /// Is called with each request when it is submitted.
        var onSubmit: (@Sendable (StorageRequest) -> Void)?
    }

    let pace: Pace
    let state: Mutex<State>
    /// Readable while a held request may complete.
    let readEnd: FileDescriptor
    let writeEnd: FileDescriptor

    init(sectorCount: Int, _ pace: Pace = .immediately) throws {
        self.pace = pace
        state = Mutex(State(bytes: [UInt8](repeating: 0, count: sectorCount * sectorByteCount)))
        (readEnd, writeEnd) = try FileDescriptor.pipe()
    }

    /// Lets a held request complete.
    func allow(_ number: Int) throws {
        state.withLock { _ = $0.allowed.insert(number) }
        _ = try writeEnd.writeAll([1])
    }

    var log: [String] { state.withLock { $0.log } }

    deinit {
        try? readEnd.close()
        try? writeEnd.close()
    }
}

struct FakeStorageQueue: StorageQueue, ~Copyable {
    private struct Waiting {
        var number: Int
        var request: StorageRequest
        var segments: [StorageSegment]
        var window: PageWindow
    }

    let disk: FakeDisk
    private var waiting: [Waiting] = []
    private var random: SeededRandom

    init(_ disk: FakeDisk) {
        self.disk = disk
        if case .shuffled(let seed) = disk.pace {
            random = SeededRandom(seed: seed)
        } else {
            random = SeededRandom(seed: 0)
        }
    }

    var completionDescriptor: FileDescriptor? {
        if case .held = disk.pace { disk.readEnd } else { nil }
    }

    mutating func submit(
        _ request: StorageRequest, segments: Span<StorageSegment>, window: PageWindow
    ) {
        let number = disk.state.withLock { state in
            defer { state.submitted += 1 }
            state.log.append("begin \(request.operation) \(request.sector)")
            return state.submitted
        }
        disk.state.withLock { $0.onSubmit }?(request)
        waiting.append(
            Waiting(
                number: number, request: request, segments: segments.indices.map { segments[$0] },
                window: window))
    }

    mutating func flushSubmissions() {}

    mutating func takeCompletion() -> StorageCompletion? {
        let place: Int
        switch disk.pace {
        case .immediately:
            guard !waiting.isEmpty else { return nil }
            place = 0
        case .shuffled:
            guard !waiting.isEmpty else { return nil }
            place = Int.random(in: 0..<waiting.count, using: &random)
        case .held:
            let allowed = disk.state.withLock { $0.allowed }
            guard let found = waiting.firstIndex(where: { allowed.contains($0.number) }) else {
                return nil
            }
            disk.readEnd.takeByte()
            place = found
        }
        let done = waiting.remove(at: place)
        return StorageCompletion(tag: done.request.tag, errno: Self.perform(done, disk))
    }

    private static func perform(_ waiting: Waiting, _ disk: FakeDisk) -> Errno? {
        let request = waiting.request
        return disk.state.withLock { state -> Errno? in
            state.log.append("end \(request.operation) \(request.sector)")
            var at = Int(request.sector) * sectorByteCount
            let failure = state.failing == waiting.number ? state.failure : nil
            switch request.operation {
            case .flush: break
            case .discard:
                guard failure == nil else { break }
                for index in 0..<Int(request.sectorCount) * sectorByteCount {
                    state.bytes[at + index] = 0
                }
            case .read, .write:
                let total = waiting.segments.reduce(0) { $0 + $1.byteCount }
                precondition(total == Int(request.sectorCount) * sectorByteCount)
                for segment in waiting.segments {
                    let range = at..<at + segment.byteCount
                    at += segment.byteCount
                    precondition(
                        segment.windowOffset % pageByteCount + segment.byteCount <= pageByteCount)
                    if request.operation == .read {
                        // A read that fails leaves something in the pages, as a real one may.
                        let bytes =
                            failure == nil
                            ? Array(state.bytes[range])
                            : [UInt8](repeating: 0xee, count: segment.byteCount)
                        waiting.window.put(bytes, at: segment.windowOffset)
                    } else if failure == nil {
                        state.bytes.replaceSubrange(
                            range,
                            with: waiting.window.array(
                                at: segment.windowOffset, count: segment.byteCount))
                    }
                }
            }
            return failure
        }
    }
}

extension FileDescriptor {
    /// Takes one byte that is there.
    func takeByte() {
        var byte = [UInt8](repeating: 0, count: 1)
        // SAFETY: the buffer is the array's, for the call.
        let count = unsafe byte.withUnsafeMutableBytes { unsafe try? read(into: $0) }
        precondition(count == 1)
    }
}
