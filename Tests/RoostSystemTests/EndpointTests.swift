import Testing

import RoostSystem

private let longestPath = String(repeating: "x", count: Endpoint.maximumPathByteCount)

@Suite struct EndpointTests {
    @Test(
        "An endpoint is read as it is written",
        arguments: [
            ("unix:/run/roost/move.socket", Endpoint.unix(path: "/run/roost/move.socket")),
            ("unix:a", .unix(path: "a")),
            ("unix:tcp:1", .unix(path: "tcp:1")),
            ("unix:\(longestPath)", .unix(path: longestPath)),
            ("tcp:localhost:0", .tcp(host: "localhost", port: 0)),
            ("tcp:10.0.0.1:65535", .tcp(host: "10.0.0.1", port: 65535)),
            ("tcp:[::1]:4444", .tcp(host: "::1", port: 4444)),
        ])
    func reads(text: String, endpoint: Endpoint) throws {
        #expect(try Endpoint(text) == endpoint)
        #expect(endpoint.description == text)
    }

    @Test(
        "What names no endpoint is refused with what to write instead",
        arguments: [
            ("", "unix:PATH or tcp:HOST:PORT"), ("/run/x", "unix:PATH or tcp:HOST:PORT"),
            ("udp:a:1", "unix:PATH or tcp:HOST:PORT"), ("unix:", "needs a path"),
            ("unix:a\0b", "needs a path"),
            ("unix:\(longestPath)x", "at most 107"),
            ("tcp:", "no port"), ("tcp:host", "no port"), ("tcp::80", "is no host"),
            ("tcp:[]:80", "is no host"), ("tcp:host:", "is no port"),
            ("tcp:host:65536", "0 to 65535"), ("tcp:host:-1", "0 to 65535"),
            ("tcp:host:+1", "0 to 65535"), ("tcp:host:1x", "0 to 65535"),
            ("tcp:::1:80", "brackets"), ("tcp:[::1:80", "brackets"),
            ("tcp:\(String(repeating: "h", count: 256)):1", "is no host"),
        ])
    func refuses(text: String, hint: String) {
        let error = #expect(throws: SystemError.self) { try Endpoint(text) }
        #expect(error?.kind == .address)
        #expect(error?.description.contains(hint) == true, "\(String(describing: error))")
    }
}
