import Foundation
import Glibc
import LabSupport
import RoostMigration
import Testing

extension Tag {
    /// Needs network namespaces and programs of the system.
    @Tag static var lab: Self
}

/// What the laboratories of networks lack on this machine; empty when nothing is missing.
enum NetworkNeeds {
    static let missing: String = {
        guard geteuid() == 0 else { return "network namespaces need root" }
        guard FileManager.default.fileExists(atPath: "/dev/net/tun") else {
            return "missing /dev/net/tun: load the module tun"
        }
        return LabTool.missing(
            "ip", "iperf3", "nsenter", "ping", "sysctl", "tcpdump", "tracepath", "traceroute")
    }()
}

/// Who routes in a laboratory.
enum LabRouter: String, CaseIterable, Sendable, CustomTestStringConvertible {
    /// Linux, by which the laboratory itself is checked.
    case kernel
    /// `roost net up`.
    case roost

    var testDescription: String { rawValue }
}

/// One laboratory's network: hosts, each a network namespace of the system, around a router.
final class NetworkStage: Sendable {
    /// The name that the router has for `roost net`.
    static let routerName = "lab"

    private let folder: TemporaryFolder
    private let hosts: [String: NetworkNamespace]
    /// The namespace of the router that the kernel is.
    private let kernel: NetworkNamespace?
    /// The router that Roost is.
    let roost: ChildProcess?

    /// Lays out a network for a laboratory, and takes it away however that ends.
    ///
    /// - Parameters:
    ///   - name: What the laboratory is called in the last lines of the tests.
    ///   - plan: The network.
    ///   - router: Who routes.
    ///   - body: The laboratory.
    /// - Throws: What the laboratory throws, or `LabError` when the network cannot be laid out.
    static func run(
        _ name: String, _ plan: NetworkPlan, _ router: LabRouter = .roost,
        _ body: (NetworkStage) async throws -> Void
    ) async throws {
        try await LabClock.measure("network \(name), \(router.rawValue)") {
            let stage = try await NetworkStage(plan, router)
            try await body(stage)
            try await stage.close()
        }
    }

    private init(_ plan: NetworkPlan, _ router: LabRouter) async throws {
        folder = try TemporaryFolder()
        var hosts: [String: NetworkNamespace] = [:]
        for link in plan.links { hosts[link.name] = try await NetworkNamespace(link.name) }
        self.hosts = hosts
        switch router {
        case .kernel:
            roost = nil
            kernel = try await Self.makeKernelRouter(plan, hosts)
        case .roost:
            kernel = nil
            for link in plan.links {
                try await Self.host(hosts, link.name).ip("tuntap add dev eth0 mode tap")
                try await Self.configure(try Self.host(hosts, link.name), link)
            }
            let file = folder.file("\(Self.routerName).toml")
            let text = plan.configuration { hosts[$0]?.name ?? $0 }
            try text.write(toFile: file, atomically: true, encoding: .utf8)
            roost = try Self.start(["net", "up", file], folder)
            try await roost?.line { $0.hasPrefix("net \(Self.routerName): up, ") }
        }
    }

    /// Lets everything end, which must be a success.
    private func close() async throws {
        roost?.signal(SIGTERM)
        try await roost?.succeed()
        let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
        #expect(left == (roost == nil ? [] : ["\(Self.routerName).toml"]), "left behind")
    }

    // MARK: Hosts

    /// The host of a name.
    func host(_ name: String) throws -> NetworkNamespace { try Self.host(hosts, name) }

    private static func host(
        _ hosts: [String: NetworkNamespace], _ name: String
    ) throws -> NetworkNamespace {
        guard let host = hosts[name] else { throw LabError("the plan has no host \(name)") }
        return host
    }

    /// Gives a host's device its addresses and routes.
    private static func configure(
        _ host: NetworkNamespace, _ link: NetworkPlan.Link
    ) async throws {
        for address in link.host { try await host.ip("address add \(address) dev eth0") }
        try await host.ip("link set eth0 mtu \(link.mtu) up")
        for address in link.router {
            try await host.ip("route add default via \(address.prefix { $0 != "/" })")
        }
    }

    private static func makeKernelRouter(
        _ plan: NetworkPlan, _ hosts: [String: NetworkNamespace]
    ) async throws -> NetworkNamespace {
        let router = try await NetworkNamespace("router")
        // Errors are not to be counted out among the few that a laboratory provokes.
        try await router.run(
            "sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 "
                + "net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0")
        for link in plan.links {
            let host = try host(hosts, link.name)
            try await host.ip(
                "link add eth0 type veth peer name \(link.name) netns \(router.name)")
            for address in link.router {
                try await router.ip("address add \(address) dev \(link.name)")
            }
            let mode = ["off": 0, "strict": 1, "loose": 2][link.reversePath] ?? 0
            try await router.run("sysctl -qw net.ipv4.conf.\(link.name).rp_filter=\(mode)")
            try await router.ip("link set \(link.name) mtu \(link.mtu) up")
            try await configure(host, link)
        }
        for route in plan.routes {
            let way = route.via.map { "\(route.prefix) via \($0)" }
            try await router.ip("route add " + (way ?? "\(route.action ?? "") \(route.prefix)"))
        }
        return router
    }

    // MARK: Roost's commands

    /// Starts `roost` with the stage's run directory.
    func start(_ arguments: [String]) throws -> ChildProcess {
        try Self.start(arguments, folder)
    }

    private static func start(
        _ arguments: [String], _ folder: TemporaryFolder
    ) throws -> ChildProcess {
        try ChildProcess(
            "/usr/bin/env",
            ["ROOST_SOCKET=\(folder.file("hypervisor"))", RoostProgram.locate()] + arguments,
            name: "roost " + arguments.prefix(3).joined(separator: " "))
    }

    /// Runs `roost net` to its end, which must be a success.
    ///
    /// - Returns: What it wrote to its standard output.
    @discardableResult
    func net(_ command: String) async throws -> String {
        let child = try start(["net"] + command.split(separator: " ").map(String.init))
        try await child.succeed()
        return child.output
    }

    /// What a command of `roost net` says with `--json`.
    func json(_ command: String) async throws -> JSONValue {
        let output = try await net("\(command) --json")
        do {
            return try JSONValue(json: output.utf8)
        } catch {
            throw LabError("roost net \(command) --json printed no JSON: \(output)")
        }
    }

    /// A port as `roost net ports` shows it.
    func port(_ name: String) async throws -> JSONValue {
        guard let port = try await findPort(name) else {
            throw LabError("no port \(name) is shown")
        }
        return port
    }

    private func findPort(_ name: String) async throws -> JSONValue? {
        let namespaces = try await json("ports")["namespaces"]?.array ?? []
        let ports = namespaces.flatMap { $0["ports"]?.array ?? [] }
        return ports.first { $0["name"]?.string == name }
    }

    /// Waits until a port is no longer shown.
    func waitForEnd(ofPort name: String) async throws {
        _ = try await poll(.seconds(30), "port \(name) to be removed") {
            try await findPort(name) == nil ? true : nil
        }
    }

    /// Waits until a port has a state.
    func waitForPort(_ name: String, _ state: String) async throws {
        _ = try await poll(.seconds(30), "port \(name) to be \(state)") {
            try await port(name)["state"]?.string == state ? true : nil
        }
    }
}
