internal import RoostRouter

/// Where the parts of a configuration stand in its file, for what only the whole or a start shows.
struct ConfigurationPlaces: Sendable {
    /// The file.
    let file: ConfigurationText
    /// Of each namespace, port and route which of its tables it is, from 0.
    var namespaces: [String: Int] = [:]
    var ports: [String: Int] = [:]
    var routes: [String: [Int]] = [:]

    /// What is wrong with a part, with its line and key.
    func refusal(_ fault: ConfigurationFault) -> HostError {
        switch fault.place {
        case .router:
            let isOfCollector = fault.key?.hasPrefix("slice-") == true
            return file.refusal(
                isOfCollector ? ConfigurationText.Header(name: "collector", index: 0) : nil,
                fault.key, [isOfCollector ? "collector" : nil, fault.key].compactMap { $0 },
                fault.reason)
        case .namespace(let name): return refusal(fault, "namespace", namespaces[name])
        case .limits(let name): return refusal(fault, "namespace", namespaces[name], ["limits"])
        case .port(let name): return refusal(fault, "port", ports[name])
        case .route(let namespace, let index):
            let tables = routes[namespace] ?? []
            return refusal(fault, "route", index < tables.count ? tables[index] : nil)
        }
    }

    private func refusal(
        _ fault: ConfigurationFault, _ table: String, _ index: Int?, _ within: [String] = []
    ) -> HostError {
        // A namespace that no table makes has no line.
        let header = index.map { index in
            ConfigurationText.Header(
                name: ([table] + within).joined(separator: "."), index: index)
        }
        let place = index.map { ["\(table) \($0 + 1)"] + within } ?? within
        return file.refusal(header, fault.key, place + [fault.key].compactMap { $0 }, fault.reason)
    }
}
