internal import RoostHypervisor

/// Finds the devices of a disk among all that a domain's backend folder has.
struct DeviceFinder<DeviceStore: Store> {
    let store: DeviceStore
    /// The domain's folder of this kind of backend.
    let folder: StorePath
    /// The disk that devices have to name.
    let name: String
    /// Devices that were looked at, and whose they are does not change.
    private var known: Set<String> = []

    init(store: DeviceStore, folder: StorePath, name: String) {
        self.store = store
        self.folder = folder
        self.name = name
    }

    /// The devices of this disk that were not known before, after a change at a path.
    ///
    /// What cannot be read is gone, and is no device.
    mutating func devices(at path: StorePath) async -> [StorePath] {
        let prefix = folder.text + "/"
        guard path.text.hasPrefix(prefix) else { return await devicesOfAll() }
        let names = path.text.dropFirst(prefix.count).split(separator: "/")
        guard names.count >= 2 else { return await devices(of: String(names[0])) }
        let key = "\(names[0])/\(names[1])"
        // The folder itself: it is new, or gone.
        if names.count == 2 { known.remove(key) }
        return await device(key).map { [$0] } ?? []
    }

    private mutating func devicesOfAll() async -> [StorePath] {
        var found: [StorePath] = []
        for guest in (try? await store.directory(folder, in: nil)) ?? [] {
            found += await devices(of: guest)
        }
        return found
    }

    private mutating func devices(of guest: String) async -> [StorePath] {
        guard let path = try? StorePath("\(folder)/\(guest)") else { return [] }
        var found: [StorePath] = []
        for number in (try? await store.directory(path, in: nil)) ?? [] {
            if let device = await device("\(guest)/\(number)") { found.append(device) }
        }
        return found
    }

    private mutating func device(_ key: String) async -> StorePath? {
        guard !known.contains(key), let path = try? StorePath("\(folder)/\(key)"),
            let parameters = try? StorePath("\(path)/params"),
            let named = try? await store.readString(parameters)
        else { return nil }
        known.insert(key)
        return named == name ? path : nil
    }
}
