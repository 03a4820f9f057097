// swift-tools-version: 6.2

import PackageDescription

/// The settings of every Swift target, as in the package that is measured.
let settings: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// As the rooms have it whose protocols have noncopyable parts.
let hypervisorSettings = settings + [.enableExperimentalFeature("SuppressedAssociatedTypes")]

let package = Package(
    name: "roost-benchmarks",
    dependencies: [
        .package(name: "roost", path: "..", traits: []),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/ordo-one/benchmark", from: "1.38.1", traits: []),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
    ],
    targets: [
        // The same work in C. SwiftPM compiles it with -O2 in a release build.
        .target(
            name: "CPeers",
            cSettings: [
                .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
            ],
            linkerSettings: [.linkedLibrary("z")]),
        // A client of NBD, and the indices of grants of 2012. Needs libnbd (Debian: libnbd-dev).
        .target(
            name: "CDiskPeers",
            cSettings: [
                .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
            ],
            linkerSettings: [.linkedLibrary("nbd")]),
        // What is measured: one file a subject. `SeededRandom.swift` and `PageContents.swift` are
        // links to the tests' own.
        .target(
            name: "Workloads",
            dependencies: [
                "CPeers", .product(name: "RoostMemory", package: "roost"),
                .product(name: "RoostMigration", package: "roost"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        // Roost and its peer by turns, with medians and their ratio.
        .executableTarget(
            name: "ratios",
            dependencies: [
                "Workloads", .product(name: "Histogram", package: "hdrhistogram-swift"),
            ],
            swiftSettings: settings),
        // A stream of 1 GiB into Roost and into QEMUs by turns, each in a process of its own.
        .executableTarget(
            name: "loader",
            dependencies: [
                "CPeers", "Workloads",
                .product(name: "RoostMemory", package: "roost"),
                .product(name: "RoostMigration", package: "roost"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        // The source of a migration beside QEMU's, each in a process of its own.
        .executableTarget(
            name: "source",
            dependencies: [
                "CPeers", "Workloads",
                .product(name: "RoostGuest", package: "roost"),
                .product(name: "RoostMemory", package: "roost"),
                .product(name: "RoostMigration", package: "roost"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        // The disk beside NBD servers, many guests at once, and its parts by themselves.
        // `Program.swift` and `Numbers.swift` are links to those of `source`, `GrantIndex.swift`
        // to RoostBlock's own, which is internal there.
        .executableTarget(
            name: "disk",
            dependencies: [
                "CDiskPeers", "CPeers", "Workloads",
                .product(name: "Histogram", package: "hdrhistogram-swift"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "RoostBlock", package: "roost"),
                .product(name: "RoostHypervisor", package: "roost"),
                .product(name: "RoostMemory", package: "roost"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: hypervisorSettings),
        // Lookups of longest prefixes beside DPDK's tables, which `lookup-peers.sh` builds and this
        // loads. `SeededRandom.swift`, `Numbers.swift` and `Failure.swift` are links.
        .target(
            name: "CLookupPeers",
            cSettings: [
                .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
            ]),
        .executableTarget(
            name: "lookups",
            dependencies: [
                "CLookupPeers", .product(name: "RoostRouter", package: "roost"),
            ],
            swiftSettings: settings),
        // Forwarding of a packet in C.
        .target(
            name: "CRouterPeers",
            cSettings: [
                .enableWarning("all"), .enableWarning("extra"), .treatAllWarnings(as: .error),
            ]),
        // The router in memory: what a packet costs, and what a scan costs others.
        .executableTarget(
            name: "router",
            dependencies: [
                "CRouterPeers", .product(name: "RoostRouter", package: "roost"),
            ],
            swiftSettings: settings),
        // The classic garbage list, and reference counts in C.
        .target(
            name: "CDestinationPeers",
            cSettings: [
                .define("_GNU_SOURCE"), .enableWarning("all"), .enableWarning("extra"),
                .treatAllWarnings(as: .error),
            ]),
        // Destination entries: references, the collector, what packets see of it.
        .executableTarget(
            name: "destinations",
            dependencies: [
                "CDestinationPeers", .product(name: "RoostRouter", package: "roost"),
            ],
            swiftSettings: settings),
        // Each by itself under the harness, for percentiles.
        .executableTarget(
            name: "PageKernels",
            dependencies: ["Workloads", .product(name: "Benchmark", package: "benchmark")],
            path: "Benchmarks/PageKernels",
            plugins: [.plugin(name: "BenchmarkPlugin", package: "benchmark")]),
    ],
    swiftLanguageModes: [.v6]
)
