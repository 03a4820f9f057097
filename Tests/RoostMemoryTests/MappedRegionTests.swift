import Foundation
import Glibc
import RoostMemory
import SystemPackage
import Testing

@Suite struct MappedRegionTests {
    enum Kind: CaseIterable { case anonymous, memoryFile, file }

    @Test(arguments: Kind.allCases)
    func `a new region is zero, and holds what is written`(kind: Kind) throws {
        let file = try TemporaryFile(byteCount: 4 * pageByteCount)
        var region = try make(kind, file: file, pages: 4)
        let isZero = region.bytes.isZero
        #expect(isZero)
        #expect(region.byteCount == 4 * pageByteCount)
        write(0x5a, at: 4 * pageByteCount - 1, to: &region)
        let last = region.bytes.loadBigEndian(at: 4 * pageByteCount - 1, as: UInt8.self)
        #expect(last == 0x5a)
    }

    @Test(arguments: Kind.allCases)
    func `only a memory file has a descriptor to pass on`(kind: Kind) throws {
        let file = try TemporaryFile(byteCount: pageByteCount)
        let region = try make(kind, file: file, pages: 1)
        #expect((region.memoryFile != nil) == (kind == .memoryFile))
    }

    @Test(arguments: [0, -4096, 1, 4095, 4097, Int.min])
    func `a length that is not whole pages is refused`(byteCount: Int) throws {
        let file = try TemporaryFile(byteCount: pageByteCount)
        let makers: [() throws -> Void] = [
            { _ = try MappedRegion.anonymous(byteCount: byteCount) },
            { _ = try MappedRegion.memoryFile(name: "test", byteCount: byteCount) },
            {
                _ = try MappedRegion.file(
                    file.descriptor, byteCount: byteCount, requiresSeal: false)
            },
        ]
        for maker in makers {
            #expect(kind(maker) == .length)
        }
    }

    @Test func `more than the address space is refused`() {
        #expect(
            kind { _ = try MappedRegion.anonymous(byteCount: 1 << 60) } == .mapping)
    }

    @Test func `more than a file holds is refused`() throws {
        let file = try TemporaryFile(byteCount: 2 * pageByteCount - 1)
        #expect(
            kind {
                _ = try MappedRegion.file(
                    file.descriptor, byteCount: 2 * pageByteCount, requiresSeal: false)
            } == .length)
    }

    @Test func `a closed descriptor is refused`() throws {
        #expect(
            kind {
                _ = try MappedRegion.file(
                    FileDescriptor(rawValue: -1), byteCount: pageByteCount, requiresSeal: false)
            } == .mapping)
    }

    @Test func `a file that could shrink is refused where a seal is asked for`() throws {
        let file = try TemporaryFile(byteCount: pageByteCount)
        #expect(
            kind {
                _ = try MappedRegion.file(
                    file.descriptor, byteCount: pageByteCount, requiresSeal: true)
            } == .unsealed)
    }

    @Test func `a memory file cannot be resized`() throws {
        let region = try MappedRegion.memoryFile(name: "test", byteCount: 2 * pageByteCount)
        let descriptor = try memoryFile(of: region)
        #expect(throws: Errno.notPermitted) { try descriptor.resize(to: 4096) }
        #expect(throws: Errno.notPermitted) { try descriptor.resize(to: 16384) }
    }

    @Test func `two mappings of a memory file share their bytes`() throws {
        var ours = try MappedRegion.memoryFile(name: "test", byteCount: 2 * pageByteCount)
        let descriptor = try memoryFile(of: ours)
        var theirs = try MappedRegion.file(
            descriptor, byteCount: 2 * pageByteCount, requiresSeal: true)
        write(1, at: 5000, to: &ours)
        let seenByThem = theirs.bytes.loadBigEndian(at: 5000, as: UInt8.self)
        #expect(seenByThem == 1)
        write(2, at: 0, to: &theirs)
        let seenByUs = ours.bytes.loadBigEndian(at: 0, as: UInt8.self)
        #expect(seenByUs == 2)
    }

    @Test func `a mapping outlives the descriptor it was made from`() throws {
        let first = try MappedRegion.memoryFile(name: "test", byteCount: pageByteCount)
        let copy = try memoryFile(of: first).duplicate()
        var second = try MappedRegion.file(copy, byteCount: pageByteCount, requiresSeal: true)
        try copy.close()
        write(9, at: 1, to: &second)
        let seen = first.bytes.loadBigEndian(at: 1, as: UInt8.self)
        #expect(seen == 9)
    }

    @Test(arguments: Kind.allCases)
    func `what is discarded reads as zero and is given back`(kind: Kind) throws {
        // The file is a memory file: not every file system can deallocate a range.
        let owner = try MappedRegion.memoryFile(name: "test", byteCount: 8 * pageByteCount)
        let descriptor = try memoryFile(of: owner)
        var region =
            switch kind {
            case .anonymous: try MappedRegion.anonymous(byteCount: 8 * pageByteCount)
            case .memoryFile: try MappedRegion.memoryFile(name: "t", byteCount: 8 * pageByteCount)
            case .file:
                try MappedRegion.file(descriptor, byteCount: 8 * pageByteCount, requiresSeal: true)
            }
        for page in 0..<8 {
            write(1, at: page * pageByteCount, to: &region)
        }
        let before = residentPages(region)
        #expect(before == [1, 1, 1, 1, 1, 1, 1, 1])

        try region.discard(2 * pageByteCount..<5 * pageByteCount)

        // Asked before the bytes are read, which would bring zero pages in.
        let after = residentPages(region)
        #expect(after == [1, 1, 0, 0, 0, 1, 1, 1])
        let values = (0..<8).map { page in
            region.bytes.loadBigEndian(at: page * pageByteCount, as: UInt8.self)
        }
        #expect(values == [1, 1, 0, 0, 0, 1, 1, 1])
        try region.discard(0..<0)
        try region.discard(0..<region.byteCount)
        let isZero = region.bytes.isZero
        #expect(isZero)
    }

    @Test(arguments: [1..<4096, 0..<4095, 4096..<12288, -4096..<4096])
    func `a range that is not pages of the region traps`(range: Range<Int>) async {
        await #expect(processExitsWith: .failure) {
            [lower = range.lowerBound as Int, upper = range.upperBound as Int] in
            var region = try MappedRegion.anonymous(byteCount: 2 * pageByteCount)
            try region.discard(lower..<upper)
        }
    }

    @Test func `a region that ended gave its memory file back`() throws {
        var number: Int32 = -1
        do {
            let region = try MappedRegion.memoryFile(name: "roost-gone", byteCount: pageByteCount)
            number = try memoryFile(of: region).rawValue
        }
        // The number may be another file's by now: tests run beside each other.
        let link = try? FileManager.default.destinationOfSymbolicLink(
            atPath: "/proc/self/fd/\(number)")
        #expect(link?.contains("roost-gone") != true)
    }

    // MARK: Helpers

    private func make(
        _ kind: Kind, file: TemporaryFile, pages: Int
    ) throws -> MappedRegion {
        let byteCount = pages * pageByteCount
        return switch kind {
        case .anonymous: try .anonymous(byteCount: byteCount)
        case .memoryFile: try .memoryFile(name: "test", byteCount: byteCount)
        case .file: try .file(file.descriptor, byteCount: byteCount, requiresSeal: false)
        }
    }

    private func memoryFile(of region: borrowing MappedRegion) throws -> FileDescriptor {
        let descriptor = region.memoryFile
        return try #require(descriptor)
    }

    private func write(_ byte: UInt8, at offset: Int, to region: inout MappedRegion) {
        var bytes = region.mutableBytes
        bytes.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
    }

    private func kind(_ body: () throws -> Void) -> MemoryError.Kind? {
        do {
            try body()
            return nil
        } catch {
            let memoryError = error as? MemoryError
            #expect(memoryError?.description.isEmpty == false)
            return memoryError?.kind
        }
    }

    /// Which pages of a region take memory (mincore(2)).
    private func residentPages(_ region: borrowing MappedRegion) -> [UInt8] {
        var pages = [UInt8](repeating: 2, count: region.byteCount / pageByteCount)
        let bytes = region.bytes
        unsafe bytes.withUnsafeBytes { buffer in
            let start = unsafe UnsafeMutableRawPointer(mutating: buffer.baseAddress)
            _ = unsafe mincore(start, buffer.count, &pages)
        }
        return pages.map { $0 & 1 }
    }
}

/// A file without a name, of zeros.
private final class TemporaryFile {
    let descriptor: FileDescriptor

    init(byteCount: Int) throws {
        let path = FileManager.default.temporaryDirectory.path + "/roost-\(UUID().uuidString)"
        descriptor = try FileDescriptor.open(
            FilePath(path), .readWrite, options: [.create, .exclusiveCreate],
            permissions: .ownerReadWrite)
        try FileManager.default.removeItem(atPath: path)
        try descriptor.resize(to: Int64(byteCount))
    }

    deinit {
        try? descriptor.close()
    }
}
