internal import CRoost

/// The service manager that started this process, such as systemd, where one asks to be told.
package enum ServiceManager {
    /// What it is told (sd_notify(3)).
    package enum State: String, Sendable {
        /// What was started does its work.
        case ready = "READY=1"
        /// What was started ends.
        case stopping = "STOPPING=1"
    }

    /// Tells it; does nothing where nobody asks (`NOTIFY_SOCKET`).
    ///
    /// - Parameter state: What to tell.
    package static func tell(_ state: State) {
        // Who asked and does not listen takes the service for one that does not start.
        _ = unsafe croost_tell_service_manager(state.rawValue)
    }
}
