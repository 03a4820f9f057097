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

let shimSettings: [CSetting] = [
    .define("_GNU_SOURCE"),
    .enableWarning("all"),
    .enableWarning("extra"),
    .treatAllWarnings(as: .error),
]

let package = Package(
    name: "roost",
    products: [
        .library(name: "RoostMemory", targets: ["RoostMemory"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/swiftlang/swift-docc-plugin", from: "1.5.0"),
    ],
    targets: [
        .target(name: "CRoost", cSettings: shimSettings),
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
            name: "TestSupport", dependencies: ["RoostMemory"], path: "Tests/TestSupport",
            swiftSettings: settings),
        .testTarget(
            name: "RoostMemoryTests",
            dependencies: [
                "RoostMemory", "TestSupport",
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
        .testTarget(
            name: "RoostSystemTests",
            dependencies: [
                "RoostSystem", .product(name: "SystemPackage", package: "swift-system"),
            ],
            swiftSettings: settings),
    ],
    swiftLanguageModes: [.v6]
)
