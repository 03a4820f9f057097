internal import CRoost
internal import RoostSystem
internal import Synchronization
internal import SystemPackage

/// What a TAP interface is to be.
struct TAPOptions: Equatable, Sendable {
    /// The name, 1 to 15 bytes without `/` and blanks; one `%d` in it becomes the first number that
    /// is free.
    var interface: String
    /// The network namespace it is made in: a name under /run/netns, as `ip netns` makes them, or the
    /// path of a namespace's file; nil is the process's own.
    var networkNamespace: String?
    /// The longest payload in bytes, 68 to 65,521 (Linux: `tun_net_init`); the host's side gets it.
    var mtu = 1_500
    /// Whether a name that exists is refused; otherwise a persistent interface is attached to.
    var isExclusive = true
    /// Whether the host's side is set up.
    var bringsUp = true
    /// How many threads count frames.
    var workerCount = 1

    /// Options with their usual values.
    init(interface: String, networkNamespace: String? = nil) {
        self.interface = interface
        self.networkNamespace = networkNamespace
    }
}

/// Makes TAP interfaces.
enum TAPInterface {
    /// The clone device (Linux, Documentation/networking/tuntap.rst).
    static let cloneDevice = "/dev/net/tun"

    /// What `open` found, on its way from the thread that may have changed its network namespace.
    private struct Made: Sendable {
        var descriptor: CInt = -1
        var name = ""
        var hostAddress = MACAddress(rawValue: 0)
    }

    /// Makes an interface and opens it.
    ///
    /// Blocks for some milliseconds. Where a network namespace is named, a thread of its own enters
    /// it, and ends; the caller stays where it is.
    ///
    /// - Parameters:
    ///   - options: What it is to be.
    ///   - device: The clone device's path.
    /// - Returns: The port; the interface lives as long as it.
    /// - Throws: `RouterError` of kind `invalidValue`, `notFound` (no such namespace), `exists`, `port`
    ///   or `memory`; nothing is left behind then.
    static func open(
        _ options: TAPOptions, device: String = cloneDevice
    ) throws(RouterError) -> TAPPort {
        try check(options)
        let made: Made
        if let namespace = options.networkNamespace {
            made = try inNamespace(path(ofNamespace: namespace)) { () throws(RouterError) in
                try make(options, device: device)
            }
        } else {
            made = try make(options, device: device)
        }
        return try TAPPort(
            OwnedDescriptor(FileDescriptor(rawValue: made.descriptor)), interface: made.name,
            hostAddress: made.hostAddress, mtu: options.mtu, workerCount: options.workerCount)
    }

    /// See ``TAPPort/setCarrier(_:)``.
    static func setCarrier(
        _ isUp: Bool, of descriptor: FileDescriptor, interface: String
    ) throws(RouterError) {
        let result = croost_tap_set_carrier(descriptor.rawValue, isUp ? 1 : 0)
        guard result == 0 else {
            throw RouterError(
                .port,
                "cannot set the carrier of interface \(interface): \(Errno(rawValue: -result))")
        }
    }

    private static func check(_ options: TAPOptions) throws(RouterError) {
        let name = options.interface
        let longest = Int(CROOST_INTERFACE_NAME) - 1
        guard !name.isEmpty, name.utf8.count <= longest else {
            throw RouterError(
                .invalidValue,
                "cannot name an interface \"\(name)\": give 1 to \(longest) bytes")
        }
        let isRefused = name.utf8.contains { $0 <= 0x20 || $0 == 0x7F || $0 == UInt8(ascii: "/") }
        guard !isRefused, name != ".", name != "..", !name.contains(":") else {
            throw RouterError(
                .invalidValue,
                "cannot name an interface \"\(name)\": give no blanks, slashes and colons")
        }
        guard options.mtu >= 68, options.mtu <= 65_521 else {
            throw RouterError(
                .invalidValue,
                "cannot give interface \(name) an MTU of \(options.mtu): give 68 to 65521")
        }
    }

    /// Makes the interface in the calling thread's network namespace.
    private static func make(
        _ options: TAPOptions, device: String
    ) throws(RouterError) -> Made {
        let wanted = options.interface
        let opened = unsafe croost_tap_open(device)
        guard opened >= 0 else { throw cannotOpen(device, Errno(rawValue: -opened)) }
        let owned = OwnedDescriptor(FileDescriptor(rawValue: opened))
        var made = Made()
        var name = [CChar](repeating: 0, count: Int(CROOST_INTERFACE_NAME))
        for (index, byte) in wanted.utf8.enumerated() { name[index] = CChar(bitPattern: byte) }
        // SAFETY: the name has the room that the function's contract asks for, and ends with a zero.
        let attached = unsafe croost_tap_attach(opened, &name, options.isExclusive ? 1 : 0)
        guard attached == 0 else { throw cannotAttach(wanted, Errno(rawValue: -attached)) }
        made.name = String(
            decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
        var address: UInt64 = 0
        // SAFETY: a local value, alive for the call; the names below end with a zero.
        let addressed = unsafe croost_tap_link_address(opened, &address)
        try check(addressed, made.name, "read the address of")
        try check(
            unsafe croost_interface_set_mtu(made.name, CInt(options.mtu)), made.name,
            "set the MTU \(options.mtu) of")
        if options.bringsUp {
            try check(unsafe croost_interface_set_up(made.name), made.name, "set up")
        }
        made.hostAddress = MACAddress(rawValue: address)
        made.descriptor = owned.release().rawValue
        return made
    }

    /// The file of a network namespace that is named as `ip netns` does, or by its path.
    static func path(ofNamespace namespace: String) -> String {
        namespace.contains("/") ? namespace : "/run/netns/\(namespace)"
    }

    /// Runs a closure on a thread that is in a network namespace, and waits for it.
    static func inNamespace<Value: Sendable>(
        _ path: String, _ body: @escaping @Sendable () throws(RouterError) -> Value
    ) throws(RouterError) -> Value {
        let file: OwnedDescriptor
        do {
            file = OwnedDescriptor(
                try FileDescriptor.open(
                    FilePath(path), .readOnly, options: .closeOnExec))
        } catch {
            throw cannotOpenNamespace(path, error as? Errno ?? .ioError)
        }
        let descriptor = file.descriptor.rawValue
        let outcome = Outcome<Result<Value, RouterError>>()
        let done: Semaphore
        do {
            done = try Semaphore()
        } catch {
            throw RouterError(.memory, error.description)
        }
        let refused = DedicatedThread.start(name: "tap-open") {
            let entered = croost_enter_network(descriptor)
            if entered == 0 {
                outcome.set(Result { () throws(RouterError) in try body() })
            } else {
                outcome.set(.failure(cannotEnter(path, Errno(rawValue: -entered))))
            }
            done.signal()
        }
        if let refused { throw RouterError(.port, refused.description) }
        done.wait()
        withExtendedLifetime(file) {}
        guard let result = outcome.take() else {
            throw RouterError(.port, "nothing was done in \(path)")
        }
        return try result.get()
    }

    private static func check(
        _ result: CInt, _ name: String, _ action: String
    ) throws(RouterError) {
        guard result != 0 else { return }
        throw RouterError(.port, "cannot \(action) interface \(name): \(Errno(rawValue: -result))")
    }

    /// Why the clone device cannot be opened.
    static func cannotOpen(_ device: String, _ reason: Errno) -> RouterError {
        let advice =
            switch reason {
            case .noSuchFileOrDirectory, .noSuchAddressOrDevice,
                .operationNotSupportedByDevice:
                "load the module (modprobe tun), or make the device known in this container"
            case .permissionDenied, .notPermitted:
                "run as root, or give the user access to the device"
            case .tooManyOpenFiles: "raise the limit on open files (ulimit -n)"
            default: "see the kernel's log"
            }
        return RouterError(.port, "cannot open \(device): \(reason); \(advice)")
    }

    private static func cannotAttach(_ name: String, _ reason: Errno) -> RouterError {
        switch reason {
        case .resourceBusy:
            RouterError(
                .exists,
                "cannot open the TAP device \(name): another process has it open; end that, or give "
                    + "another device")
        case .notPermitted, .permissionDenied:
            RouterError(
                .port,
                "cannot open the TAP device \(name): \(reason); run as root or with CAP_NET_ADMIN, "
                    + "or make it beforehand for this user (ip tuntap add dev \(name) mode tap user "
                    + "USER)")
        case .invalidArgument: isOfAnotherKind(name)
        default:
            RouterError(.port, "cannot open the TAP device \(name): \(reason)")
        }
    }

    /// The refusal of an interface that is no TAP interface, or one that it cannot be opened as.
    static func isOfAnotherKind(_ name: String) -> RouterError {
        RouterError(
            .exists,
            "the interface \(name) is there already and is of another kind: give another device, or "
                + "remove it (ip link delete \(name)) to have it made")
    }

    /// The refusal of a port's link address that its host's side has.
    static func hasSameAddress(_ address: MACAddress, _ name: String) -> RouterError {
        RouterError(
            .invalidValue,
            "\(address) is the address of the system's side of \(name), and the port needs one of "
                + "its own: give another, or leave it out")
    }

    private static func cannotOpenNamespace(_ path: String, _ reason: Errno) -> RouterError {
        let name = path.hasPrefix("/run/netns/") ? String(path.dropFirst(11)) : nil
        switch (reason, name) {
        case (.noSuchFileOrDirectory, let name?):
            return RouterError(
                .notFound,
                "there is no network namespace '\(name)' (\(path)): make it with 'ip netns add "
                    + "\(name)', or give one that 'ip netns list' shows")
        case (.permissionDenied, _), (.notPermitted, _):
            return RouterError(
                .port, "cannot open the network namespace \(path): \(reason); run as root")
        case (.tooManyOpenFiles, _):
            return RouterError(
                .port,
                "cannot open the network namespace \(path): \(reason); raise the limit on open "
                    + "files (ulimit -n)")
        default:
            return RouterError(
                .notFound,
                "cannot open the network namespace \(path): \(reason); give one that 'ip netns "
                    + "list' shows")
        }
    }

    private static func cannotEnter(_ path: String, _ reason: Errno) -> RouterError {
        switch reason {
        case .invalidArgument:
            RouterError(
                .invalidValue,
                "\(path) is no network namespace: give one that 'ip netns list' shows")
        default:
            RouterError(
                .port,
                "cannot enter the network namespace \(path): \(reason); run as root, or with "
                    + "CAP_SYS_ADMIN")
        }
    }
}

/// What a thread leaves for the one that waits for it.
private final class Outcome<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    func set(_ new: Value) { value.withLock { $0 = new } }

    func take() -> Value? { value.withLock { $0.take() } }
}
