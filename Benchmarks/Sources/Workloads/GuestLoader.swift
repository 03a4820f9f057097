import RoostMemory
public import RoostMigration

/// Loads a stream into a guest's memory, as any user of the library would.
public struct GuestLoader: StreamHandler, ~Copyable {
    /// The memory, once the blocks are listed; a further stream goes into the same.
    public private(set) var memory: GuestMemory?
    /// How many records of pages came.
    public private(set) var pageCount = 0

    /// Makes a loader without memory.
    public init() {}

    /// Makes the memory, unless an earlier stream has.
    public mutating func blocksListed(
        _ blocks: [RAMBlockDescription]
    ) throws(MigrationError) {
        guard memory == nil else { return }
        memory = try GuestMemory(accepting: blocks, maximumByteCount: 4 << 30)
    }

    /// Applies a page.
    public mutating func page(_ record: PageRecord, _ body: RawSpan) throws(MigrationError) {
        try memory?.apply(record, body)
        pageCount &+= 1
    }

    /// Refuses blocks that were added: a workload has one list.
    public mutating func blocksAdded(
        _ blocks: [RAMBlockDescription], from first: Int
    ) throws(MigrationError) {
        if let error = MigrationError.addedBlocks(blocks, from: first) { throw error }
    }

    /// Traps: a workload sends its pages in the stream.
    public mutating func multifdFlushed() { preconditionFailure("a workload with multifd") }

    /// Of no matter: only memory is loaded.
    public mutating func streamBegan(version: UInt32) {}

    /// Of no matter: only memory is loaded.
    public mutating func configured(_ configuration: StreamConfiguration, _ bytes: RawSpan) {}

    /// Of no matter: only memory is loaded.
    public mutating func sectionBegan(_ section: SectionHeader) {}

    /// Of no matter: only memory is loaded.
    public mutating func recordsEnded() {}

    /// Of no matter: only memory is loaded.
    public mutating func opaque(_ bytes: RawSpan) {}

    /// Of no matter: only memory is loaded.
    public mutating func sectionEnded(_ section: SectionHeader, hasFooter: Bool) {}

    /// Of no matter: only memory is loaded.
    public mutating func command(_ command: StreamCommand, _ payload: RawSpan) {}

    /// Of no matter: only memory is loaded.
    public mutating func tail(_ bytes: RawSpan) {}

    /// Checks that the memory holds the guest's pages and nothing else.
    ///
    /// - Throws: ``Disagreement`` that names the first other page.
    public mutating func check(
        pageCount: Int, of pages: inout GuestPages, isZero: Bool = false, isChanged: Bool = false
    ) throws {
        guard memory?.blocks.map(\.usedByteCount) == [UInt64(pageCount * pageByteCount)] else {
            throw Disagreement(description: "the memory has another length")
        }
        for index in 0..<pageCount {
            let isEqual = pages.withPage(index, isChanged: isChanged) { page in
                memory?.withPage(block: 0, offset: UInt64(index * pageByteCount)) { loaded in
                    isZero ? loaded.isZero : loaded.isEqual(to: page)
                }
            }
            guard isEqual == true else {
                throw Disagreement(description: "page \(index) was loaded wrongly")
            }
        }
    }
}
