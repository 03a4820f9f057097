import Foundation
import RoostHost
import RoostRouter
import Testing

/// What is said of a change to a port.
@Suite struct PortChangeLineTests {
    private func told(
        _ change: PortChange, _ before: PortSnapshot.State, _ after: PortSnapshot.State?,
        _ isChanged: Bool, routes: Int = 0
    ) -> NetworkPortChange {
        NetworkPortChange(
            PortChangeResult(
                change, of: "left", in: "red", before: before, after: after, isChanged: isChanged,
                routeCount: routes))
    }

    @Test func `each change says what was done`() {
        #expect(
            told(.down, .up, .down, true, routes: 3).line
                == "port left: down, 3 routes withdrawn; 'roost net ports --up left' takes it up again"
        )
        #expect(told(.up, .down, .up, true, routes: 1).line == "port left: up, 1 route there again")
        #expect(told(.up, .up, .up, false).line == "port left: was up already")
        #expect(told(.down, .down, .down, false).line == "port left: was down already")
        #expect(
            told(.down, .down, .down, true).line.hasPrefix(
                "port left: was down already, and stays so whatever its device does"))
        #expect(
            told(.remove, .down, nil, true).line.hasPrefix("port left: removed with its routes"))
    }

    @Test func `a change passes through JSON as it was`() throws {
        let change = told(.remove, .up, nil, true, routes: 8)
        let bytes = try JSONEncoder().encode(change)
        #expect(try JSONDecoder().decode(NetworkPortChange.self, from: bytes) == change)
        let json = try JSONSerialization.jsonObject(with: bytes) as? [String: Any]
        #expect(json?["after"] as? String == "removed")
        #expect(json?["isChanged"] as? Bool == true)
    }
}
