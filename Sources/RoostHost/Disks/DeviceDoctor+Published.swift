extension DeviceDoctor {
    /// The most queues whose keys are looked at.
    private static let queueLimit = 64
    /// The largest ring that anybody offers, as a power of two of pages (FreeBSD's 32 pages).
    private static let ringOrderLimit = 5

    /// What is wrong with the keys by which the frontend tells of its rings.
    ///
    /// Their layout: `xen/include/public/io/blkif.h`, "Multi-page rings" and "multi-queue".
    func publishedFindings() -> [DiskFinding] {
        let path = nodes.frontendPath
        var findings = protocolFindings()
        var pageCount: Int?
        switch number("\(path)/ring-page-order", .ringOrder, offeredBy: "max-ring-page-order", 0) {
        case .absent: break
        case .wrong(let finding): findings.append(finding)
        case .right(let order): pageCount = order <= Self.ringOrderLimit ? 1 << order : nil
        }
        var queueCount = 1
        let queuesKey = "\(path)/multi-queue-num-queues"
        switch number(queuesKey, .queueCount, offeredBy: "multi-queue-max-queues", 1) {
        case .absent: break
        case .wrong(let finding):
            findings.append(finding)
            return findings
        case .right(let count): queueCount = count
        }
        for queue in 0..<min(queueCount, Self.queueLimit) {
            let folder = queueCount == 1 ? path : "\(path)/queue-\(queue)"
            findings += queueFindings(folder, pageCount)
        }
        return findings
    }

    private func protocolFindings() -> [DiskFinding] {
        let path = "\(nodes.frontendPath)/protocol"
        switch tree[path].text {
        case "x86_64-abi", "x86_32-abi", "arm-abi": return []
        case nil:
            return [
                DiskFinding(
                    .warning, .protocolMissing,
                    "\(path) is missing, which backends take for x86_32-abi: the frontend should "
                        + "write x86_64-abi")
            ]
        case .some(let text):
            return [
                fault(
                    .protocolUnknown,
                    "\(path) is \(DiskDoctor.quoted(text)), which no backend knows: the frontend "
                        + "has to write x86_64-abi or x86_32-abi")
            ]
        }
    }

    /// The ring and the event channel of a queue.
    private func queueFindings(_ folder: String, _ pageCount: Int?) -> [DiskFinding] {
        // `ring-page-order` in any value means numbered references.
        let isNumbered = tree["\(nodes.frontendPath)/ring-page-order"] != .missing
        let references =
            isNumbered ? (0..<(pageCount ?? 0)).map { "ring-ref\($0)" } : ["ring-ref"]
        var findings: [DiskFinding] = []
        for (key, rule, what) in references.map({ ($0, DiskFinding.Rule.ringReference, "a grant") })
            + [("event-channel", .eventChannel, "a port")]
        {
            let path = "\(folder)/\(key)"
            let text = tree[path].text
            guard text.flatMap({ UInt32($0) }) == nil else { continue }
            findings.append(
                fault(
                    rule,
                    (text.map { "\(path) is \(DiskDoctor.quoted($0)), which is not \(what)" }
                        ?? "\(path) is missing")
                        + ": the frontend of \(label) has to publish it before it is Initialised"))
        }
        return findings
    }

    private enum Number {
        case absent
        case right(Int)
        case wrong(DiskFinding)
    }

    /// A number of the frontend's that may not exceed one of the backend's.
    ///
    /// `least` is the smallest that makes sense, and what a backend offers that does not say.
    private func number(
        _ path: String, _ rule: DiskFinding.Rule, offeredBy key: String, _ least: Int
    ) -> Number {
        guard let text = tree[path].text else { return .absent }
        let offered = tree["\(nodes.backendPath)/\(key)"].text.flatMap { Int($0) } ?? least
        guard let value = Int(text), value >= least else {
            return .wrong(
                fault(
                    rule,
                    "\(path) is \(DiskDoctor.quoted(text)): the frontend has to write a number "
                        + "from \(least) to \(offered)"))
        }
        guard value <= offered else {
            return .wrong(
                fault(
                    rule,
                    "\(path) is \(value) but the backend offers at most \(offered) "
                        + "(\(nodes.backendPath)/\(key)): the frontend has to ask for less"))
        }
        return .right(value)
    }
}
