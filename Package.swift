// swift-tools-version: 6.2

import PackageDescription

/// The settings of every Swift target.
let settings: [SwiftSetting] = [
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
]

/// RoostMemory vends spans over memory it owns.
let memorySettings = settings + [.enableExperimentalFeature("Lifetimes")]

/// The rooms whose protocols have noncopyable parts: a domain's mapper, a storage's queue.
let hypervisorSettings = settings + [.enableExperimentalFeature("SuppressedAssociatedTypes")]

/// What only programs need, and who depends on a library need not fetch: `traits: []` leaves it out.
let hostOnly = TargetDependencyCondition.when(traits: ["Host"])

let shimSettings: [CSetting] = [
    .define("_GNU_SOURCE"),
    .enableWarning("all"),
    .enableWarning("extra"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "roost",
    products: [
        .library(name: "RoostBlock", targets: ["RoostBlock"]),
        .library(name: "RoostGuest", targets: ["RoostGuest"]),
        .library(name: "RoostHypervisor", targets: ["RoostHypervisor"]),
        .library(name: "RoostMemory", targets: ["RoostMemory"]),
        .library(name: "RoostMigration", targets: ["RoostMigration"]),
        .library(name: "RoostNBDKit", type: .dynamic, targets: ["RoostNBDKit"]),
        .library(name: "RoostRouter", targets: ["RoostRouter"]),
        .executable(name: "roost", targets: ["roost"]),
        .executable(name: "stamped-guest", targets: ["stamped-guest"]),
    ],
    traits: [
        .default(enabledTraits: ["Host"]),
        .trait(name: "Host", description: "The program roost and its control API."),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/HdrHistogram/hdrhistogram-swift", from: "0.2.0"),
        .package(url: "https://github.com/LebJe/TOMLKit", from: "0.6.0"),
        .package(
            url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        .target(name: "CRoost", cSettings: shimSettings),
        .systemLibrary(
            name: "COpenSSL", pkgConfig: "openssl", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(
            name: "CUring", pkgConfig: "liburing", providers: [.apt(["liburing-dev"])]),
        .systemLibrary(
            name: "CXxhash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(
            name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(
            name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(
            name: "RoostMemory",
            dependencies: ["CRoost", .product(name: "SystemPackage", package: "swift-system")],
            swiftSettings: memorySettings),
        .target(
            name: "RoostSystem",
            dependencies: [
                "CRoost", "RoostMemory",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "RoostGuest",
            dependencies: [
                "RoostMemory", "RoostSystem",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "RoostHypervisor",
            dependencies: [
                "RoostMemory", "RoostSystem",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: hypervisorSettings),
        .target(
            name: "RoostBlock",
            dependencies: [
                "CUring", "RoostHypervisor", "RoostMemory", "RoostSystem",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: hypervisorSettings),
        .target(
            name: "RoostMigration",
            dependencies: [
                "CXxhash", "CZlib", "CZstd", "RoostGuest", "RoostMemory", "RoostSystem",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "RoostRouter",
            dependencies: [
                "CRoost", "RoostMemory", "RoostSystem",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "RoostHost",
            dependencies: [
                "COpenSSL", "RoostBlock", "RoostGuest", "RoostHypervisor", "RoostMemory",
                "RoostMigration", "RoostRouter", "RoostSystem",
                .product(name: "Histogram", package: "hdrhistogram-swift", condition: hostOnly),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio", condition: hostOnly),
                .product(name: "NIOHTTP1", package: "swift-nio", condition: hostOnly),
                .product(name: "NIOPosix", package: "swift-nio", condition: hostOnly),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(name: "TOMLKit", package: "TOMLKit", condition: hostOnly),
            ],
            swiftSettings: hypervisorSettings),
        .target(
            name: "CNBDKit", path: "Extras/nbdkit/CNBDKit", cSettings: shimSettings),
        .target(
            name: "RoostNBDKit",
            dependencies: [
                "CNBDKit", "RoostBlock", "RoostHypervisor", "RoostMemory", "RoostSystem",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Extras/nbdkit/RoostNBDKit", swiftSettings: hypervisorSettings),
        .executableTarget(
            name: "roost",
            dependencies: [
                "RoostBlock", "RoostHost", "RoostHypervisor", "RoostMigration", "RoostRouter",
                "RoostSystem",
                .product(
                    name: "ArgumentParser", package: "swift-argument-parser", condition: hostOnly),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
                .product(
                    name: "UnixSignals", package: "swift-service-lifecycle", condition: hostOnly),
            ],
            swiftSettings: settings),
        .target(
            name: "StampedGuest", dependencies: ["RoostGuest", "RoostMemory"],
            swiftSettings: settings),
        .executableTarget(
            name: "stamped-guest",
            dependencies: [
                "RoostSystem", "StampedGuest",
                .product(
                    name: "ArgumentParser", package: "swift-argument-parser", condition: hostOnly),
            ],
            swiftSettings: settings),
        .target(
            name: "TestSupport", dependencies: ["RoostMemory"], path: "Tests/TestSupport",
            swiftSettings: settings),
        .executableTarget(
            name: "guest-program", dependencies: ["RoostGuest", "RoostMemory", "RoostMigration"],
            path: "Tests/GuestProgram", swiftSettings: settings),
        .testTarget(
            name: "RoostBlockTests",
            dependencies: [
                "RoostBlock", "RoostHypervisor", "RoostMemory", "RoostSystem", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: hypervisorSettings),
        .executableTarget(
            name: "hypervisor-client",
            dependencies: [
                "RoostHypervisor", "RoostMemory", "RoostSystem",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/HypervisorClient", swiftSettings: hypervisorSettings),
        .testTarget(
            name: "RoostHypervisorTests",
            dependencies: [
                "hypervisor-client", "RoostHypervisor", "RoostMemory", "RoostSystem", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: hypervisorSettings),
        .testTarget(
            name: "RoostGuestTests",
            dependencies: [
                "LabSupport", "RoostGuest", "RoostMemory", "RoostMigration", "RoostSystem",
                "StampedGuest", "guest-program", "stamped-guest",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "RoostHostTests",
            dependencies: [
                "RoostBlock", "RoostHost", "RoostHypervisor", "RoostMigration", "RoostRouter",
                "RoostSystem", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "RoostMemoryTests",
            dependencies: [
                "RoostMemory", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "StreamSupport", dependencies: ["RoostMigration", "TestSupport"],
            path: "Tests/StreamSupport", swiftSettings: settings),
        .testTarget(
            name: "RoostMigrationTests",
            dependencies: [
                "RoostMemory", "RoostMigration", "RoostSystem", "StreamSupport", "TestSupport",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: settings),
        .testTarget(
            name: "RoostRouterTests",
            dependencies: [
                "RoostMemory", "RoostRouter", "RoostSystem", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            resources: [.copy("Fixtures")],
            swiftSettings: settings),
        .testTarget(
            name: "RoostSystemTests",
            dependencies: [
                "RoostSystem", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .target(
            name: "LabSupport",
            dependencies: [
                "RoostMemory", "RoostMigration", "RoostSystem",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/Labs/Support", swiftSettings: settings),
        .executableTarget(
            name: "roost-demo",
            dependencies: [
                "LabSupport", "RoostMigration", "RoostSystem",
                .product(
                    name: "ArgumentParser", package: "swift-argument-parser", condition: hostOnly),
            ],
            path: "Tests/Labs/Demo", swiftSettings: settings),
        .testTarget(
            name: "QEMULabTests",
            dependencies: [
                "LabSupport", "RoostMemory", "RoostMigration", "RoostSystem", "StreamSupport",
                "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/Labs/QEMULabTests", swiftSettings: settings),
        .testTarget(
            name: "DiskLabTests",
            dependencies: [
                "LabSupport", "RoostMigration", "RoostSystem", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/Labs/DiskLabTests", swiftSettings: settings),
        .testTarget(
            name: "CommandLabTests",
            dependencies: [
                "LabSupport", "RoostMigration", "RoostSystem", "StreamSupport", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/Labs/CommandLabTests", swiftSettings: settings),
        .testTarget(
            name: "NetworkLabTests",
            dependencies: [
                "LabSupport", "RoostMigration", "RoostSystem",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            path: "Tests/Labs/NetworkLabTests", swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
