internal import SystemPackage

extension MachineDoctor {
    // MARK: What moves ask for

    static func tracking(_ facts: MachineFacts) -> [MachineFinding] {
        let command = "roost migrate bench --tracker"
        return [
            finding(
                .asynchronousTracking,
                "userfaultfd(2) protects pages so that writes are remembered",
                for: "\(command) wp-async, by which a guest never waits",
                unless: refusal(facts.asynchronousProtection).map {
                    (
                        "userfaultfd(2) cannot protect pages so that writes are remembered: \($0)",
                        trackingRemedy($0, facts, since: "6.7")
                    )
                }),
            finding(
                .pagemapScan, "PAGEMAP_SCAN tells which pages were written",
                for: "\(command) wp-async",
                unless: refusal(facts.pagemapScan).map {
                    (
                        "PAGEMAP_SCAN does not tell which pages were written: \($0)",
                        facts.hasProcessFiles
                            ? trackingRemedy($0, facts, since: "6.7") : "mount -t proc proc /proc"
                    )
                }),
            finding(
                .synchronousTracking,
                "userfaultfd(2) lets a guest wait at its first write to a page",
                for: "\(command) wp-sync",
                unless: refusal(facts.synchronousProtection).map {
                    (
                        "userfaultfd(2) cannot let a guest wait at a write: \($0)",
                        trackingRemedy($0, facts, since: "5.19")
                    )
                }),
        ]
    }

    private static func trackingRemedy(
        _ reason: Errno, _ facts: MachineFacts, since release: String
    ) -> String {
        let instead = "; until then --tracker shadow compares with a copy"
        if let advice = advice(reason) { return advice + instead }
        switch reason {
        case .notPermitted, .permissionDenied:
            guard facts.unprivilegedUserfaultfd == "0", facts.userID != 0 else {
                return "allow it in the container's filter of system calls" + instead
            }
            return "run as root, or sysctl vm.unprivileged_userfaultfd=1" + instead
        default:
            return "run Linux \(release) or later, with CONFIG_USERFAULTFD" + instead
        }
    }

    static func controlGroups(_ facts: MachineFacts) -> MachineFinding {
        let need = "roost migrate bench --auto-converge"
        guard let second = facts.secondControlGroupObstacle else {
            return finding(
                .controlGroups, "control groups of version 2 limit processor time",
                for: "\(need) --throttle cgroup-v2")
        }
        guard let first = facts.firstControlGroupObstacle else {
            return finding(
                .controlGroups, "control groups of version 1 limit processor time",
                for: "\(need) --throttle cgroup-v1")
        }
        let until = "; until then --throttle stop-cycle stops the guest in turns"
        let remedy =
            if !facts.hasProcessFiles {
                "mount -t proc proc /proc"
            } else if facts.userID == 0 {
                "mount the cpu controller (mount -t cgroup2 none /sys/fs/cgroup)" + until
            } else {
                "run as root or have a group delegated (systemd-run --user -p Delegate=yes)" + until
            }
        return MachineFinding(
            .warning, .controlGroups,
            "no control group limits processor time: version 2: \(second); version 1: \(first)",
            neededFor: need, remedy: remedy)
    }

    // MARK: What disks ask for

    static func ring(_ facts: MachineFacts) -> MachineFinding {
        finding(
            .ring, "io_uring(7) can be set up",
            for: "roost disk serve of images; ram: needs none",
            unless: refusal(facts.ring).map {
                ("io_uring(7) cannot be set up: \($0)", ringRemedy($0, facts))
            })
    }

    private static func ringRemedy(_ reason: Errno, _ facts: MachineFacts) -> String {
        if let advice = advice(reason) { return advice }
        switch reason {
        case .notPermitted, .permissionDenied:
            let disabled = facts.ringDisabled ?? "0"
            if disabled == "2" || disabled == "1" && facts.userID != 0 {
                return "sysctl kernel.io_uring_disabled=0, which is \(disabled)"
            }
            return facts.isFiltered
                ? "allow it in this process's filter of system calls (a container's seccomp "
                    + "profile)"
                : "allow it in the security module that refuses it"
        default:
            return "run Linux 5.6 or later, with CONFIG_IO_URING"
        }
    }

    // MARK: What routers ask for

    static func network(_ facts: MachineFacts) -> [MachineFinding] {
        [tap(facts), administration(facts), namespaces(facts), userNamespaces(facts)]
    }

    private static func tap(_ facts: MachineFacts) -> MachineFinding {
        finding(
            .tap, "/dev/net/tun can be opened", for: "TAP ports of roost net up",
            unless: refusal(facts.tap).map { reason in
                let remedy =
                    switch reason {
                    case .noSuchFileOrDirectory:
                        "as root: mkdir -p /dev/net && mknod /dev/net/tun c 10 200, or give the "
                            + "container --device /dev/net/tun"
                    case .operationNotSupportedByDevice, .noSuchAddressOrDevice:
                        "as root: modprobe tun"
                    default: advice(reason) ?? "run as root, or chmod 0666 /dev/net/tun"
                    }
                return ("/dev/net/tun cannot be opened: \(reason)", remedy)
            })
    }

    private static func administration(_ facts: MachineFacts) -> MachineFinding {
        let need = "TAP ports of roost net up, which make interfaces"
        guard let may = facts.mayAdministrateNetwork else {
            return finding(
                .networkAdministration, "whether this process has CAP_NET_ADMIN is not known",
                for: need)
        }
        return finding(
            .networkAdministration, "this process has CAP_NET_ADMIN", for: need,
            unless: may
                ? nil
                : (
                    "this process lacks CAP_NET_ADMIN",
                    "run as root, setcap cap_net_admin+ep the program, or give the container "
                        + "--cap-add NET_ADMIN"
                ))
    }

    private static func namespaces(_ facts: MachineFacts) -> MachineFinding {
        let lack: (String, String?)? =
            if !facts.hasNetworkNamespaces {
                (
                    "network namespaces are not to be seen",
                    facts.hasProcessFiles
                        ? "run a kernel with CONFIG_NET_NS" : "mount -t proc proc /proc"
                )
            } else if facts.mayAdministrateSystem == false {
                (
                    "this process may not enter network namespaces: it lacks CAP_SYS_ADMIN",
                    "run as root"
                )
            } else {
                nil
            }
        return finding(
            .networkNamespaces, "network namespaces are to be had",
            for: "ports of roost net up with a network-namespace", unless: lack)
    }

    private static func userNamespaces(_ facts: MachineFacts) -> MachineFinding {
        let need = "roost net up without root, in unshare -rn"
        guard let limit = facts.userNamespaceLimit else {
            return finding(
                .userNamespaces, "whether a user may have user namespaces is not known", for: need)
        }
        // Root needs none.
        guard limit == 0 else {
            return finding(.userNamespaces, "a user may have user namespaces", for: need)
        }
        return MachineFinding(
            facts.userID == 0 ? .note : .warning, .userNamespaces,
            "no user may have user namespaces",
            neededFor: need,
            remedy: facts.userID == 0 ? nil : "sysctl user.max_user_namespaces=15000")
    }
}
