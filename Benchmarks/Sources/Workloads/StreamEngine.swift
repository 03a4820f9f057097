import CPeers
import RoostMemory
import RoostMigration

extension Comparison {
    /// Reading a stream and applying it to a guest's memory.
    ///
    /// Plain pages stand beside one memcpy of as many bytes into memory mapped alike. The others
    /// stand beside a C loader that trusts every byte of the stream.
    static func streamEngine() -> [Comparison] {
        var comparisons: [Comparison] = []
        for target in StreamLoad.Target.allCases {
            for pieceByteCount in [1 << 20, 64 << 10] {
                comparisons.append(
                    load(
                        .plain, "stream, memcpy", "1 GiB", pageCount: 256 << 10, target,
                        pieceByteCount))
            }
        }
        for target in StreamLoad.Target.allCases {
            comparisons.append(
                load(.zero, "stream of zero pages", "1 GiB", pageCount: 256 << 10, target, 1 << 20))
        }
        comparisons.append(
            load(.delta, "stream of XBZRLE", "64 MiB", pageCount: 16 << 10, .touched, 1 << 20))
        comparisons.append(
            load(.compressed, "stream of zlib", "64 MiB", pageCount: 16 << 10, .touched, 1 << 20))
        return comparisons
    }

    private static func load(
        _ encoding: RAMStream.Encoding, _ work: String, _ size: String, pageCount: Int,
        _ target: StreamLoad.Target, _ pieceByteCount: Int
    ) -> Comparison {
        let piece = pieceByteCount == 1 << 20 ? "1 MiB" : "64 KiB"
        return Comparison(
            work: work, input: "\(size) into \(target.rawValue) memory, pieces of \(piece)",
            byteCount: pageCount * pageByteCount
        ) {
            let load = try StreamLoad(
                encoding, pageCount: pageCount, target, pieceByteCount: pieceByteCount)
            return Passes(roost: load.byRoost, peer: load.byC)
        }
    }
}

/// A stream and the memory on either side that it is loaded into.
private final class StreamLoad {
    /// Memory as a pass finds it.
    enum Target: String, CaseIterable {
        /// Mapped for the pass and unmapped after it: each page written costs a fault.
        case fresh = "fresh"
        /// Written before.
        case touched = "touched"
    }

    private let stream: RAMStream
    private let encoding: RAMStream.Encoding
    private let pageCount: Int
    private let pieceByteCount: Int
    private var loader: GuestLoader?
    private var memory: MappedRegion?

    init(
        _ encoding: RAMStream.Encoding, pageCount: Int, _ target: Target, pieceByteCount: Int
    ) throws {
        var pages = try GuestPages()
        stream = try RAMStream.make(encoding, pageCount: pageCount, of: &pages)
        self.encoding = encoding
        self.pageCount = pageCount
        self.pieceByteCount = pieceByteCount
        var loader = GuestLoader()
        var memory = try MappedRegion.anonymous(byteCount: pageCount * pageByteCount)
        // A delta needs the page that it was made against, and other pages are to be replaced.
        let before = try RAMStream.make(.plain, pageCount: pageCount, of: &pages)
        guard load(before, pieceByteCount, into: &loader) == pageCount,
            loadInC(before, into: &memory) == pageCount,
            load(stream, pieceByteCount, into: &loader) == pageCount,
            loadInC(stream, into: &memory) == pageCount
        else { throw Disagreement(description: "the stream cannot be loaded") }
        let (isZero, isChanged) = (encoding == .zero, encoding == .delta)
        try loader.check(pageCount: pageCount, of: &pages, isZero: isZero, isChanged: isChanged)
        try check(memory, of: &pages, isZero: isZero, isChanged: isChanged)
        guard target == .touched else { return }
        self.loader = consume loader
        self.memory = consume memory
    }

    private func check(
        _ memory: borrowing MappedRegion, of pages: inout GuestPages, isZero: Bool, isChanged: Bool
    ) throws {
        for index in 0..<pageCount {
            let loaded = memory.page(at: index * pageByteCount)
            let isEqual = pages.withPage(index, isChanged: isChanged) { page in
                isZero ? loaded.isZero : loaded.isEqual(to: page)
            }
            guard isEqual else { throw Disagreement(description: "C loads page \(index) wrongly") }
        }
    }

    func byRoost() -> Int {
        var loader = self.loader.take() ?? GuestLoader()
        let isKept = memory != nil
        let result = load(stream, pieceByteCount, into: &loader)
        if isKept { self.loader = consume loader }
        return result
    }

    func byC() -> Int {
        guard var memory = self.memory.take() else {
            guard var fresh = try? MappedRegion.anonymous(byteCount: pageCount * pageByteCount)
            else { return -1 }
            return pass(into: &fresh)
        }
        let result = pass(into: &memory)
        self.memory = consume memory
        return result
    }

    private func pass(into memory: inout MappedRegion) -> Int {
        guard encoding == .plain else { return loadInC(stream, into: &memory) }
        copy(stream, into: &memory)
        return pageCount
    }
}

/// Reads a stream in pieces and answers how many pages came, or -1.
private func load(
    _ stream: borrowing RAMStream, _ pieceByteCount: Int, into loader: inout GuestLoader
) -> Int {
    let before = loader.pageCount
    var reader = StreamReader()
    do {
        var position = 0
        while position < stream.byteCount {
            let end = min(position + pieceByteCount, stream.byteCount)
            try reader.consume(stream.bytes.bytes.extracting(position..<end), into: &loader)
            position = end
        }
        _ = try reader.finish()
    } catch {
        return -1
    }
    return loader.pageCount - before
}

private func loadInC(_ stream: borrowing RAMStream, into memory: inout MappedRegion) -> Int {
    let firstRecord = stream.firstRecord
    var target = memory.mutableBytes
    return unsafe stream.bytes.bytes.withUnsafeBytes { stream in
        unsafe target.withUnsafeMutableBytes { target in
            guard let from = stream.baseAddress, let to = target.baseAddress else { return -1 }
            return unsafe Int(cpeers_load_pages(from + firstRecord, to))
        }
    }
}

/// Copies as many bytes of the stream as the guest has.
private func copy(_ stream: borrowing RAMStream, into memory: inout MappedRegion) {
    var target = memory.mutableBytes
    target.replaceAll(with: stream.bytes.bytes.extracting(0..<target.byteCount))
}
