// swift-tools-version: 6.2

import PackageDescription

// What somebody writes who only wants processes to be movable: none of what the programs need is fetched.
let package = Package(
    name: "probe",
    dependencies: [.package(name: "roost", path: "../..", traits: [])],
    targets: [
        .executableTarget(
            name: "probe", dependencies: [.product(name: "RoostGuest", package: "roost")])
    ],
    swiftLanguageModes: [.v6]
)
