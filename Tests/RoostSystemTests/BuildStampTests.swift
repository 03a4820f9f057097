import Testing

@testable import RoostSystem

@Suite struct BuildStampTests {
    @Test("a stamp is lines of a key and a value, and what is missing is unknown")
    func stamp() {
        let stamp = BuildStamp(
            "commit 1a2b-dirty\nswift 6.3\npackages swift-nio 2.101, tomlkit 0.6\n")
        #expect(stamp.commit == "1a2b-dirty")
        #expect(stamp.swift == "6.3")
        #expect(stamp.packages == "swift-nio 2.101, tomlkit 0.6")
        let empty = BuildStamp("")
        #expect(empty.commit == nil && empty.swift == nil && empty.packages == nil)
        #expect(BuildStamp("commit\nswift \n").commit == nil)
    }

    @Test("a library's version is that of the file that is mapped")
    func libraries() {
        let maps = """
            7f00-7f01 r--p 00000000 08:01 11 /usr/lib/x86_64-linux-gnu/libzstd.so.1.5.4
            7f02-7f03 r--p 00000000 08:01 12 /usr/lib/x86_64-linux-gnu/libz.so.1.2.13 (deleted)
            7f04-7f05 rw-p 00000000 00:00 0
            """
        #expect(LoadedLibraries.version(of: "libz", maps: maps) == "1.2.13")
        #expect(LoadedLibraries.version(of: "libzstd", maps: maps) == "1.5.4")
        #expect(LoadedLibraries.version(of: "liburing", maps: maps) == nil)
        #expect(LoadedLibraries.version(of: "libz", maps: nil) == nil)
    }
}
