internal import Logging
internal import RoostBlock
internal import RoostHypervisor

/// Finds out whether somebody serves a disk, before a frontend waits for them.
///
/// It asks the disk's control socket, and the store if a hypervisor runs; it starts none.
struct DiskPresence: Sendable {
    /// How long a disk may take to appear, when its server is started just now.
    static let patience = Duration.seconds(1)
    /// How often it is looked for.
    static let interval = Duration.milliseconds(50)

    /// The disk's name.
    let name: ControlName
    /// Asks control sockets.
    let client: ControlClient
    /// Where the hypervisor is.
    let environment: [String: String]

    /// Prepares to look for a disk.
    ///
    /// - Throws: `HostError` of kind `control` when the name can be no disk's.
    init(_ name: String, environment: [String: String]) throws(HostError) {
        self.name = try ControlName(.disk, name)
        client = ControlClient(try RunDirectory.standard(environment: environment))
        self.environment = environment
    }

    /// What was found.
    enum Sight: Sendable {
        /// Somebody serves it; what its process says, where that answers.
        case served(DiskSnapshot?)
        /// Its process is being started.
        case starting
        /// Its process is gone and left its socket.
        case dead
        /// There is no trace of it.
        case absent
    }

    /// Looks once.
    func look() async -> Sight {
        do throws(HostError) {
            return .served(try await client.snapshot(DiskSnapshot.self, of: name))
        } catch {
            switch error.kind {
            case .timeout: return .served(nil)
            case .refused: return .starting
            default: return await isInStore() ? .served(nil) : error.kind == .dead ? .dead : .absent
            }
        }
    }

    /// Whether a living domain serves the disk, which may be a program without a control socket.
    private func isInStore() async -> Bool {
        guard let location = try? HypervisorLocation.standard(environment: environment),
            let store = try? await StoreClient.connect(path: location.storePath)
        else { return false }
        defer { store.close() }
        return (try? await DiskRegistry(store).server(of: name.name)) != nil
    }

    /// Waits until somebody serves the disk.
    ///
    /// - Parameters:
    ///   - waits: Whether to wait on when nobody does after ``patience``.
    ///   - logger: Told then what is waited for.
    /// - Returns: What the disk's process says, where it answers.
    /// - Throws: `HostError` of kind `absent` when nobody serves it, or `CancellationError`.
    @discardableResult
    func waitForServer(waits: Bool, logger: Logger) async throws -> DiskSnapshot? {
        let end = ContinuousClock.now + Self.patience
        var isTold = false
        while true {
            let sight = await look()
            try Task.checkCancellation()
            if case .served(let snapshot) = sight { return snapshot }
            if ContinuousClock.now >= end, !isTold {
                guard waits else { throw absence(sight) }
                isTold = true
                logger.notice("\(sentence(sight)); waiting for somebody to serve it")
            }
            try await Task.sleep(for: Self.interval)
        }
    }

    /// Ends with an error once nobody serves the disk any more, for ``patience``.
    func watch(while isWanted: @Sendable () -> Bool) async throws {
        var isMissed = false
        while isWanted() {
            let sight = await look()
            if case .served = sight {
                isMissed = false
            } else if isMissed {
                throw absence(sight)
            } else {
                isMissed = true
            }
            try await Task.sleep(for: Self.patience)
        }
    }

    private func sentence(_ sight: Sight) -> String {
        if case .dead = sight {
            return "nobody serves a disk named \(name.name) any more: its process is gone"
        }
        return "nobody serves a disk named \(name.name)"
    }

    private func absence(_ sight: Sight) -> HostError {
        let others = client.directory.names(of: .disk).map(\.name).filter {
            $0 != name.name && Self.isSimilar($0, name.name)
        }
        let hint =
            others.isEmpty
            ? ""
            : "; disks of similar names are served: \(others.prefix(5).joined(separator: ", "))"
        return HostError(
            .absent, path: client.directory.socketPath(of: name),
            "\(sentence(sight))\(hint); serve it with roost disk serve --name \(name.name) --image "
                + "FILE, or give --wait to wait for it")
    }

    // MARK: Names

    /// Whether one name may be a slip for the other: alike but for case and signs, one in the other, or
    /// at most two letters apart.
    static func isSimilar(_ left: String, _ right: String) -> Bool {
        let (a, b) = (letters(left), letters(right))
        guard !a.isEmpty, !b.isEmpty else { return false }
        if min(a.count, b.count) >= 3, contains(a, b) || contains(b, a) { return true }
        return distance(a, b) <= (min(a.count, b.count) < 4 ? 1 : 2)
    }

    private static func letters(_ name: String) -> [Character] {
        name.lowercased().filter { $0.isLetter || $0.isNumber }.map { $0 }
    }

    private static func contains(_ whole: [Character], _ part: [Character]) -> Bool {
        String(whole).contains(String(part))
    }

    /// How many letters have to be changed, put in or left out.
    private static func distance(_ a: [Character], _ b: [Character]) -> Int {
        var row = Array(0...b.count)
        for (i, letter) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, other) in b.enumerated() {
                let cost = min(row[j] + 1, row[j + 1] + 1, diagonal + (letter == other ? 0 : 1))
                diagonal = row[j + 1]
                row[j + 1] = cost
            }
        }
        return row[b.count]
    }
}
