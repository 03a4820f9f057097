import Foundation
import RoostHost
import Testing

/// Which router a command asks.
@Suite struct RouterNameTests {
    /// What is found in a folder with the sockets of these routers.
    private func find(_ name: String?, among names: [String]) throws -> ControlName {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("roost-names-\(UInt64.random(in: 0 ... .max))")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let directory = RunDirectory(folder.path)
        for name in names {
            let path = directory.socketPath(of: try ControlName(.net, name))
            try Data().write(to: URL(fileURLWithPath: path))
        }
        return try NetworkService.controlName(name, in: directory)
    }

    @Test func `the one that runs need not be named`() throws {
        #expect(try find(nil, among: ["edge"]).name == "edge")
        #expect(try find("edge", among: ["core", "edge"]).name == "edge")
    }

    @Test(
        arguments: [
            (nil, [], "no router runs here ", "'roost net up FILE'"),
            ("edge", [], "no router runs here ", "'roost net up FILE --name edge'"),
            (nil, ["core", "edge"], "several routers run: ", "--name: core, edge"),
            ("egde", ["core", "edge"], "no router 'egde' runs here ", "--name: core, edge"),
        ] as [(String?, [String], String, String)])
    func `a router that cannot be meant is answered with those that can`(
        _ name: String?, _ names: [String], _ beginning: String, _ advice: String
    ) throws {
        let error = try #require(throws: HostError.self) { _ = try find(name, among: names) }
        #expect(error.kind == .absent)
        #expect(error.description.hasPrefix(beginning), "\(error)")
        #expect(error.description.contains(advice), "\(error)")
    }
}
