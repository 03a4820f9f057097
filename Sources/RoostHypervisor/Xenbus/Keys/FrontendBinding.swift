/// Where a frontend finds its backend.
public struct FrontendBinding: Equatable, Sendable {
    /// Who serves the disk.
    public let backend: DomainID
    /// The backend's folder, which the frontend follows wherever it points.
    public let backendPath: StorePath
    /// Which disk it is.
    public let number: BlockDeviceNumber?

    /// Reads it from the frontend's folder.
    ///
    /// - Parameter value: Answers the value of a key, relative to the folder, or `nil`.
    /// - Throws: `HypervisorError` of kind `malformed`, which names the key and its value.
    public init(reading value: (String) -> String?) throws(HypervisorError) {
        self = try withoutActuallyEscaping(value) { (value) throws(HypervisorError) in
            try Self(KeyReader(writer: "frontend", value: value))
        }
    }

    private init(_ keys: KeyReader) throws(HypervisorError) {
        let domain = try keys.requiredNumber(
            "backend-id", 0...DomainID.firstReserved.rawValue - 1)
        backend = DomainID(rawValue: domain)
        let path = try keys.requiredText("backend")
        guard path.hasPrefix("/"), let path = try? StorePath(path) else {
            throw keys.refusal("backend", "must be an absolute path")
        }
        backendPath = path
        number = try keys.number("virtual-device", 0...UInt32.max)
            .flatMap(BlockDeviceNumber.init)
    }
}
