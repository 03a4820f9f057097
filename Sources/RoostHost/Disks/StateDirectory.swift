internal import Glibc

/// The folder in which Roost keeps what outlives its processes and starts of the host.
public enum StateDirectory {
    /// The folder for this process's user.
    ///
    /// It is what `ROOST_STATE` names, else `/var/lib/roost` for root, and for others
    /// `$XDG_STATE_HOME/roost` or `~/.local/state/roost`.
    ///
    /// - Parameter environment: The process's environment.
    /// - Returns: The folder, which may not exist yet; `nil` when nothing says where it is.
    public static func path(environment: [String: String]) -> String? {
        path(environment: environment, isRoot: geteuid() == 0)
    }

    static func path(environment: [String: String], isRoot: Bool) -> String? {
        func named(_ variable: String) -> String? {
            environment[variable].flatMap { $0.isEmpty ? nil : $0 }
        }
        if let path = named("ROOST_STATE") { return path }
        if isRoot { return "/var/lib/roost" }
        if let home = named("XDG_STATE_HOME") { return "\(home)/roost" }
        return named("HOME").map { "\($0)/.local/state/roost" }
    }
}
