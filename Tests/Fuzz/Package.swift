// swift-tools-version: 6.2

import PackageDescription

// A package of its own, so that the sanitizer's flags stay out of Roost's. `run.sh` builds it.
let package = Package(
    name: "RoostFuzz",
    products: [.library(name: "RoostFuzz", type: .static, targets: ["RoostFuzz"])],
    dependencies: [.package(name: "roost", path: "../..", traits: [])],
    targets: [
        .target(
            name: "RoostFuzz",
            dependencies: [
                .product(name: "RoostBlock", package: "roost"),
                .product(name: "RoostHypervisor", package: "roost"),
                .product(name: "RoostMemory", package: "roost"),
                .product(name: "RoostMigration", package: "roost"),
                .product(name: "RoostRouter", package: "roost"),
            ],
            swiftSettings: [
                .strictMemorySafety(),
                .treatAllWarnings(as: .error),
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("InternalImportsByDefault"),
                .enableUpcomingFeature("MemberImportVisibility"),
            ])
    ],
    swiftLanguageModes: [.v6]
)
