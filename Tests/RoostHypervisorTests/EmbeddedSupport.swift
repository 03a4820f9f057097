import Foundation
import RoostHypervisor
import RoostMemory
import RoostSystem
import SystemPackage
import Testing

/// A hypervisor of a test's own, in a folder that goes with it.
final class TestHypervisor: Sendable {
    let directory: String
    let hypervisor: EmbeddedHypervisor

    var location: HypervisorLocation { hypervisor.location }

    init(exitsWhenIdle: Duration? = nil) throws {
        DescriptorLimit.raise()
        directory = "/tmp/roost-hv-" + String(UInt64.random(in: 0 ... .max), radix: 36)
        hypervisor = try EmbeddedHypervisor(
            directory: directory, options: .init(exitsWhenIdle: exitsWhenIdle))
    }

    /// Connects a domain.
    func domain(
        _ name: String = "test", succeeding previous: DomainID? = nil
    ) throws -> EmbeddedDomain {
        try EmbeddedDomain(at: location, name: name, succeeding: previous)
    }

    deinit {
        hypervisor.stop()
        try? FileManager.default.removeItem(atPath: directory)
    }
}

/// Waits until something is so, looking again and again, for at most half a minute.
func eventually(_ condition: () throws -> Bool) async rethrows -> Bool {
    let deadline = ContinuousClock.now + .seconds(30)
    while try !condition() {
        guard .now < deadline else { return false }
        try? await Task.sleep(for: .milliseconds(1))
    }
    return true
}

/// Waits until a descriptor can be read, for at most half a minute.
func becomesReadable(_ descriptor: FileDescriptor, within limit: Int32 = 30_000) -> Bool {
    var wait = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
    return unsafe poll(&wait, 1, limit) == 1
}

/// Whether a descriptor can be read now.
func isReadable(_ descriptor: FileDescriptor) -> Bool {
    becomesReadable(descriptor, within: 0)
}

/// The kind of hypervisor error that a closure throws; `nil` when it throws none.
func failureKind(_ body: () throws -> Void) -> HypervisorError.Kind? {
    do {
        try body()
        return nil
    } catch {
        return (error as? HypervisorError)?.kind
    }
}

extension PageWindow {
    /// Fills a page with a byte.
    func fill(page: Int, with byte: UInt8) {
        withMutableBytes(at: page * pageByteCount, count: pageByteCount) { bytes in
            for offset in 0..<pageByteCount {
                bytes.storeBytes(of: byte, toByteOffset: offset, as: UInt8.self)
            }
        }
    }

    /// Whether every byte of a page is that one.
    func isFilled(page: Int, with byte: UInt8) -> Bool {
        let word = UInt32(byte) * 0x0101_0101
        return stride(from: 0, to: pageByteCount, by: 4).allSatisfy {
            loadRelaxed(at: page * pageByteCount + $0) == word
        }
    }
}

extension EmbeddedGrantMapper {
    /// Maps grants given as an array.
    mutating func map(
        _ references: [GrantReference], _ access: GrantAccess, into window: PageWindow, at page: Int
    ) throws(HypervisorError) -> GrantMapping {
        try map(references.span, access, into: window, at: page)
    }

    /// Copies; answers which copies failed.
    mutating func copy(_ copies: [GrantCopy], window: PageWindow) -> [Bool] {
        var failures = [Bool](repeating: true, count: copies.count)
        var span = failures.mutableSpan
        let isComplete = copy(copies.span, window: window, failures: &span)
        #expect(isComplete == !failures.contains(true))
        return failures
    }
}

/// The mappings of shared memory in a window, as the kernel lists them.
func mappings(in window: PageWindow) throws -> [String] {
    let start = window.address(of: 0)
    let file = try FileDescriptor.open(FilePath("/proc/self/maps"), .readOnly)
    defer { try? file.close() }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = try unsafe chunk.withUnsafeMutableBytes { try unsafe file.read(into: $0) }
        guard count > 0 else { break }
        bytes += chunk[..<count]
    }
    let text = String(decoding: bytes, as: UTF8.self)
    return text.split(separator: "\n").map(String.init).filter { line in
        let fields = line.split(separator: " ")
        let range = fields[0].split(separator: "-").compactMap { UInt64($0, radix: 16) }
        return range[0] < start + UInt64(window.byteCount) && range[1] > start
            && fields.last?.contains("deleted") == true
    }
}
