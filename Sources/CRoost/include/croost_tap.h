#ifndef CROOST_TAP_H
#define CROOST_TAP_H

#include <stddef.h>
#include <stdint.h>

/// The room of an interface's name with its end (Linux: IFNAMSIZ).
#define CROOST_INTERFACE_NAME 16

/// Moves the calling thread, and only it, into a network namespace (setns(2), CLONE_NEWNET).
/// Answers 0 or a negated errno.
int croost_enter_network(int descriptor);

/// A nonblocking descriptor of the clone device of TAP interfaces, which is no interface yet, or a
/// negated errno.
int croost_tap_open(const char *_Nonnull path);

/// Makes an interface of a descriptor in the calling thread's network namespace (TUNSETIFF with
/// IFF_TAP and IFF_NO_PI; `is_exclusive` adds IFF_TUN_EXCL). The name may hold a %d, and is replaced
/// by the one that the interface got. Answers 0 or a negated errno.
int croost_tap_attach(
    int descriptor, char name[_Nonnull CROOST_INTERFACE_NAME], int is_exclusive);

/// Tells the host's side whether the cable is in (TUNSETCARRIER). Answers 0 or a negated errno.
int croost_tap_set_carrier(int descriptor, int is_up);

/// The link-layer address of the host's side of a TAP interface (SIOCGIFHWADDR), its first octet in
/// bits 47 to 40. Answers 0 or a negated errno.
int croost_tap_link_address(int descriptor, uint64_t *_Nonnull address);

/// Sets the longest payload of an interface of the calling thread's network namespace in bytes
/// (SIOCSIFMTU). Answers 0 or a negated errno.
int croost_interface_set_mtu(const char *_Nonnull name, int mtu);

/// Sets an interface of the calling thread's network namespace up (SIOCSIFFLAGS, IFF_UP). Answers 0
/// or a negated errno.
int croost_interface_set_up(const char *_Nonnull name);

/// What an interface of the calling thread's network namespace is: whether it is a TAP interface,
/// whether somebody has it open (both as ETHTOOL_GDRVINFO and ETHTOOL_GLINK tell), and its link-layer
/// address as above. Answers 0 or a negated errno, ENODEV when there is none of the name.
int croost_interface_look(
    const char *_Nonnull name, int *_Nonnull is_tap, int *_Nonnull is_open,
    uint64_t *_Nonnull address);

#endif
