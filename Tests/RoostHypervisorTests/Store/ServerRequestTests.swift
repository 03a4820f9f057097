import RoostHypervisor
import Testing

/// What each type of message does.
struct ServerRequestTests {
    @Test("A value is read as it was written, without a NUL behind it")
    func readsWhatWasWritten() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        #expect(store.write(host, "/tool/a/b", "x y") == .accepted)
        #expect(store.read(host, "/tool/a/b") == .value("x y"))
        #expect(store.read(host, "/tool/a") == .value(""))
        #expect(store.read(host, "/tool/b") == .refused("ENOENT"))
        #expect(store.write(host, "/tool/a/b", "") == .accepted)
        #expect(store.read(host, "/tool/a/b") == .value(""))
    }

    @Test("A relative path lies in the client's own folder")
    func relativePaths() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(7)
        #expect(store.write(guest, "data/x", "1") == .accepted)
        #expect(store.read(host, "/local/domain/7/data/x") == .value("1"))
        #expect(store.write(host, "own", "2") == .accepted)
        #expect(store.read(host, "/local/domain/0/own") == .value("2"))
    }

    @Test("DIRECTORY answers the names of the children")
    func directory() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        #expect(store.list(host, "/") == .texts("local", "tool"))
        #expect(store.list(host, "/tool/xenstored") == .payload([]))
        #expect(store.list(host, "/nothing") == .refused("ENOENT"))
    }

    @Test("MKDIR makes an empty node and leaves one that is there")
    func makeDirectory() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        #expect(store.ask(host, .makeDirectory, [UInt8](terminated: "/tool/m")) == .accepted)
        #expect(store.read(host, "/tool/m") == .value(""))
        #expect(store.write(host, "/tool/m", "kept") == .accepted)
        #expect(store.ask(host, .makeDirectory, [UInt8](terminated: "/tool/m")) == .accepted)
        #expect(store.read(host, "/tool/m") == .value("kept"))
    }

    @Test("RM removes all below; a missing node is none of its business if the parent exists")
    func remove() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        #expect(store.write(host, "/tool/a/b/c", "1") == .accepted)
        #expect(store.remove(host, "/tool/a") == .accepted)
        #expect(store.read(host, "/tool/a/b/c") == .refused("ENOENT"))
        #expect(store.remove(host, "/tool/a") == .accepted)
        #expect(store.remove(host, "/tool/a/b") == .refused("ENOENT"))
        #expect(store.remove(host, "/") == .refused("EINVAL"))
    }

    @Test("DIRECTORY_PART hands a long list out in pieces")
    func directoryPart() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let names = (0..<400).map { "a-rather-long-name-\($0)" }
        for name in names {
            #expect(store.write(host, "/tool/many/\(name)", "") == .accepted)
        }
        #expect(store.list(host, "/tool/many") == .refused("E2BIG"))
        var found: [String] = []
        var offset = 0
        var generation: String?
        for _ in 0..<10 {
            let answer = store.ask(
                host, .directoryPart, [UInt8](terminated: "/tool/many", "\(offset)"))
            guard case .payload(let bytes) = answer else { break }
            #expect(bytes.count <= 4096)
            let texts = bytes.terminatedParts.map { String(decoding: $0, as: UTF8.self) }
            let first = try #require(texts.first)
            #expect(first == generation ?? first)
            generation = first
            offset += bytes.count - first.utf8.count - 1
            found += texts.dropFirst().filter { !$0.isEmpty }
            if texts.last == "" { break }
        }
        #expect(Set(found) == Set(names))
        #expect(found.count == names.count)
        let past = store.ask(host, .directoryPart, [UInt8](terminated: "/tool/many", "999999"))
        #expect(past == .payload([UInt8](terminated: try #require(generation), "")))
    }

    @Test("GET_DOMAIN_PATH and IS_DOMAIN_INTRODUCED answer everybody")
    func domains() throws {
        var store = ServerHarness()
        let guest = try store.connect(3)
        let path = store.ask(guest, .domainPath, [UInt8](terminated: "12"))
        #expect(path == .texts("/local/domain/12"))
        #expect(store.ask(guest, .isDomainIntroduced, [UInt8](terminated: "3")) == .texts("T"))
        #expect(store.ask(guest, .isDomainIntroduced, [UInt8](terminated: "4")) == .texts("F"))
        #expect(
            store.ask(guest, .domainPath, [UInt8](terminated: "x")) == .refused("EINVAL"))
    }

    @Test("What manages domains is refused to ordinary ones")
    func privilegedRequests() throws {
        var store = ServerHarness()
        let host = store.connectPrivileged()
        let guest = try store.connect(3)
        let introduce = [UInt8](terminated: "9", "4096", "2")
        #expect(store.ask(guest, .introduce, introduce) == .refused("EACCES"))
        for type in [StoreMessageType.release, .resume, .setTarget] {
            #expect(store.ask(guest, type, [UInt8](terminated: "3")) == .refused("EACCES"))
        }
        #expect(store.watch(host, "@introduceDomain", "i") == .accepted)
        #expect(store.watch(host, "@releaseDomain", "r") == .accepted)
        #expect(store.takeEvents(of: host) == ["@introduceDomain i", "@releaseDomain r"])
        #expect(store.ask(host, .introduce, introduce) == .accepted)
        #expect(store.takeEvents(of: host) == ["@introduceDomain i"])
        #expect(store.ask(host, .isDomainIntroduced, [UInt8](terminated: "9")) == .texts("T"))
        #expect(store.ask(host, .resume, [UInt8](terminated: "9")) == .accepted)
        #expect(store.ask(host, .release, [UInt8](terminated: "9")) == .accepted)
        #expect(store.takeEvents(of: host) == ["@releaseDomain r"])
        #expect(store.ask(host, .release, [UInt8](terminated: "9")) == .refused("ENOENT"))
    }

    @Test("RESET_WATCHES ends a client's watches and transactions")
    func resetWatches() throws {
        var store = ServerHarness()
        let guest = try store.connect(3)
        #expect(store.watch(guest, "data", "t") == .accepted)
        let transaction = store.begin(guest)
        #expect(transaction != 0)
        #expect(store.ask(guest, .resetWatches, [0]) == .accepted)
        _ = store.takeEvents(of: guest)
        #expect(store.write(guest, "data", "1") == .accepted)
        #expect(store.takeEvents(of: guest).isEmpty)
        #expect(store.read(guest, "data", in: transaction) == .refused("ENOENT"))
    }

    @Test("An unknown type is ENOSYS", arguments: [0, 15, 16, 20, 23, 26, 99, UInt32.max])
    func unknownTypes(number: UInt32) throws {
        var store = ServerHarness()
        let guest = try store.connect(3)
        #expect(store.ask(guest, typeNumber: number, [0]) == .refused("ENOSYS"))
    }

    @Test(
        "A payload that is not what the type asks for is EINVAL",
        arguments: [
            (StoreMessageType.read, ""), (.read, "data"), (.read, "a\0b\0"), (.read, "\0"),
            (.directory, ""), (.directory, "data//x\0"), (.directory, "data/\0"),
            (.read, "sp ace\0"), (.read, "@releaseDomain\0"), (.write, "data"), (.write, "\0x"),
            (.watch, "data\0"), (.watch, "data\0t\0more\0"), (.watch, "@other\0t\0"),
            (.setPermissions, "data\0"), (.setPermissions, "data\0x3\0"),
            (.setPermissions, "data\0r\0"), (.setPermissions, "data\0r-1\0"),
            (.setPermissions, "data\0r99999\0"), (.setPermissions, "data\0r3"),
            (.directoryPart, "data\0"), (.directoryPart, "data\0-1\0"),
            (.isDomainIntroduced, "\0"), (.domainPath, "99999\0"),
        ])
    func malformedPayloads(type: StoreMessageType, payload: String) throws {
        var store = ServerHarness()
        let guest = try store.connect(3)
        #expect(store.write(guest, "data", "1") == .accepted)
        #expect(store.ask(guest, type, Array(payload.utf8)) == .refused("EINVAL"))
    }
}
