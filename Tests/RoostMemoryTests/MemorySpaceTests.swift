import Foundation
import SystemPackage
import Testing

@testable import RoostMemory

@Suite struct MemorySpaceTests {
    private static func file(pages: Int) throws -> MappedRegion {
        try MappedRegion.memoryFile(name: "space", byteCount: pages * pageByteCount)
    }

    private static func byte(_ space: MemorySpace, _ offset: Int) -> UInt8 {
        space.page(at: offset / pageByteCount * pageByteCount)
            .loadBigEndian(at: offset % pageByteCount, as: UInt8.self)
    }

    @Test func `pieces lie behind each other, files and memory of its own`() throws {
        var file = try Self.file(pages: 2)
        var bytes = file.mutableBytes
        bytes.storeBytes(of: 7, toByteOffset: pageByteCount + 3, as: UInt8.self)
        let memoryFile = file.memoryFile
        let descriptor = try #require(memoryFile)
        let space = try MemorySpace(capacity: 8 * pageByteCount)
        #expect(space.byteCount == 0)
        #expect(try space.addAnonymous(byteCount: pageByteCount) == 0..<pageByteCount)
        let place = try space.addFile(
            descriptor, byteCount: 2 * pageByteCount, isWritable: true, requiresSeal: true)
        #expect(place == pageByteCount..<3 * pageByteCount)
        #expect(space.byteCount == 3 * pageByteCount)
        #expect(Self.byte(space, 2 * pageByteCount + 3) == 7)
        // What one writes the other reads: it is one memory.
        space.withMutablePage(at: pageByteCount) { $0.fill(with: 9) }
        let first = file.page(at: 0).loadBigEndian(at: 100, as: UInt8.self)
        #expect(first == 9)
        #expect(Self.byte(space, 0) == 0)
    }

    @Test(arguments: [0, -4096, 1, 4097])
    func `a length that is not whole pages is refused`(byteCount: Int) throws {
        #expect(throws: MemoryError.self) { try MemorySpace(capacity: byteCount) }
        let space = try MemorySpace(capacity: 4 * pageByteCount)
        #expect(throws: MemoryError.self) { try space.addAnonymous(byteCount: byteCount) }
        #expect(space.byteCount == 0)
    }

    @Test func `no more than was asked for can be added`() throws {
        let space = try MemorySpace(capacity: 2 * pageByteCount)
        try space.addAnonymous(byteCount: pageByteCount)
        let error = #expect(throws: MemoryError.self) {
            try space.addAnonymous(byteCount: 2 * pageByteCount)
        }
        #expect(error?.kind == .length)
        #expect(error?.description.contains("at most 8192") == true)
        try space.addAnonymous(byteCount: pageByteCount)
    }

    @Test func `a file that is too short or could shrink is refused`() throws {
        let file = try Self.file(pages: 1)
        let memoryFile = file.memoryFile
        let descriptor = try #require(memoryFile)
        let space = try MemorySpace(capacity: 4 * pageByteCount)
        let short = #expect(throws: MemoryError.self) {
            try space.addFile(
                descriptor, byteCount: 2 * pageByteCount, isWritable: false, requiresSeal: true)
        }
        #expect(short?.kind == .length)
        let null = try FileDescriptor.open(FilePath("/dev/null"), .readWrite)
        defer { try? null.close() }
        let unsealed = #expect(throws: MemoryError.self) {
            try space.addFile(null, byteCount: pageByteCount, isWritable: false, requiresSeal: true)
        }
        #expect(unsealed?.kind == .unsealed)
        #expect(space.byteCount == 0)
    }

    @Test func `a page outside ends the process`() async {
        await #expect(processExitsWith: .failure) {
            let space = try MemorySpace(capacity: 4 * pageByteCount)
            try space.addAnonymous(byteCount: pageByteCount)
            _ = space.page(at: pageByteCount)
        }
    }

    @Test func `forgotten tables take nothing, and the file keeps what it holds`() throws {
        let pages = 512
        var file = try Self.file(pages: pages)
        for page in 0..<pages {
            var bytes = file.mutablePage(at: page * pageByteCount)
            bytes.fill(with: UInt8(truncatingIfNeeded: page))
        }
        let space = try MemorySpace(capacity: pages * pageByteCount)
        let memoryFile = file.memoryFile
        try space.addFile(
            try #require(memoryFile), byteCount: pages * pageByteCount, isWritable: false,
            requiresSeal: true)
        let pagemap = try FileDescriptor.open(FilePath("/proc/self/pagemap"), .readOnly)
        defer { try? pagemap.close() }
        /// Whether the process's tables know the page (proc_pid_pagemap(5), bit 63).
        func isInTables(_ page: Int) throws -> Bool {
            var entry = [UInt8](repeating: 0, count: 8)
            let place = Int64(space.address(of: page * pageByteCount)) / 4096 * 8
            let count = try unsafe entry.withUnsafeMutableBytes {
                try unsafe pagemap.read(fromAbsoluteOffset: place, into: $0)
            }
            #expect(count == 8)
            return entry[7] & 0x80 != 0
        }
        for page in 0..<pages {
            #expect(Self.byte(space, page * pageByteCount) == UInt8(truncatingIfNeeded: page))
        }
        #expect(try isInTables(0) && isInTables(255) && isInTables(256))
        space.forgetTables(of: 0..<256 * pageByteCount)
        #expect(try !isInTables(0) && !isInTables(255) && isInTables(256))
        #expect(Self.byte(space, 77 * pageByteCount) == 77)
    }
}

@Suite struct FixedArrayTests {
    @Test(arguments: [0, 1, 511, 512, 513, 100_000])
    func `an array begins as zeros and holds what was stored`(count: Int) throws {
        var array = try FixedArray<UInt64>(count: count)
        var isZero = true
        for index in 0..<count where array[index] != 0 { isZero = false }
        #expect(isZero)
        for index in 0..<count { array[index] = UInt64(index) &* 0x9e37_79b9 }
        var isSame = true
        for index in 0..<count where array[index] != UInt64(index) &* 0x9e37_79b9 { isSame = false }
        #expect(isSame)
        var larger = try FixedArray<UInt64>(count: count + 1)
        larger.replaceStart(with: array)
        let last = larger[count]
        #expect(last == 0)
        if count > 0 {
            let copied = larger[count - 1]
            #expect(copied == UInt64(count - 1) &* 0x9e37_79b9)
        }
    }

    @Test(arguments: [1 << 47, Int.max])
    func `what the system refuses is an error`(count: Int) {
        #expect(throws: MemoryError.self) { _ = try FixedArray<UInt64>(count: count) }
    }

    @Test(arguments: [-1, 4])
    func `an element outside ends the process`(index: Int) async {
        await #expect(processExitsWith: .failure) { [index = index as Int] in
            let array = try FixedArray<UInt64>(count: 4)
            _ = array[index]
        }
    }
}
