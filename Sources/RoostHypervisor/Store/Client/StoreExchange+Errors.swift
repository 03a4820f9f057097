internal import SystemPackage

extension StoreExchange {
    static func refusal(of what: String, _ reason: Errno) -> HypervisorError {
        let hint =
            switch reason {
            case .noSuchFileOrDirectory: "there is no such node or transaction"
            case .permissionDenied: "this domain may not, or the domain it belonged to is gone"
            case .noSpace: "a limit of this domain is reached; remove nodes or end transactions"
            case .argListTooLong: "it is too long, or this domain has too many watches"
            case .resourceTemporarilyUnavailable:
                "somebody else changed what the transaction has looked at; do it again"
            case .resourceBusy: "transactions cannot contain each other"
            case .noFunction: "the store does not know this request"
            default: "correct the request"
            }
        return HypervisorError(
            .store, errno: reason,
            "cannot \(what): the store answers \(StoreErrorName.name(of: reason)); \(hint)")
    }

    static func cancellation(_ what: String) -> HypervisorError {
        HypervisorError(
            .store, errno: .canceled, "did not wait to \(what): the task was cancelled")
    }

    static func overload(_ what: String) -> HypervisorError {
        HypervisorError(
            .store, errno: .noBufferSpace,
            "cannot \(what): \(queueLimit) requests wait for the store already; ask for less at "
                + "a time, and see that the hypervisor runs")
    }

    static func malformed(_ error: StoreMessageReader.TooLong) -> HypervisorError {
        HypervisorError(
            .lost,
            "the store sent a message of \(error.byteCount) bytes, which the protocol does not "
                + "allow, so the connection was ended; see that a store listens there")
    }

    static let ended = HypervisorError(
        .lost, "the connection to the store has ended; connect again once the hypervisor runs")

    static let closed = HypervisorError(
        .lost, "the connection to the store was closed here; open another one")
}
