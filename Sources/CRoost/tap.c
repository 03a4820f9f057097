#include "croost_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_tun.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

// Missing in the headers of older systems.
#ifndef TUNSETCARRIER
#define TUNSETCARRIER _IOW('T', 226, int)
#endif

_Static_assert(CROOST_INTERFACE_NAME == IFNAMSIZ, "the room of an interface's name");

int croost_enter_network(int descriptor) {
    return setns(descriptor, CLONE_NEWNET) == 0 ? 0 : -errno;
}

int croost_tap_open(const char *path) {
    int descriptor = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    return descriptor >= 0 ? descriptor : -errno;
}

/// A request about an interface; a name that is too long is cut, which the caller excludes.
static struct ifreq request_for(const char *name) {
    struct ifreq request = {0};
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    return request;
}

int croost_tap_attach(int descriptor, char name[CROOST_INTERFACE_NAME], int is_exclusive) {
    struct ifreq request = request_for(name);
    request.ifr_flags = (short)(IFF_TAP | IFF_NO_PI | (is_exclusive ? IFF_TUN_EXCL : 0));
    if (ioctl(descriptor, TUNSETIFF, &request) != 0) return -errno;
    memcpy(name, request.ifr_name, CROOST_INTERFACE_NAME);
    name[CROOST_INTERFACE_NAME - 1] = '\0';
    return 0;
}

int croost_tap_set_carrier(int descriptor, int is_up) {
    return ioctl(descriptor, TUNSETCARRIER, &is_up) == 0 ? 0 : -errno;
}

/// The link-layer address of an answer, its first octet in bits 40 to 47.
static uint64_t address_in(const struct ifreq *request) {
    uint64_t address = 0;
    for (int index = 0; index < 6; index++) {
        address = address << 8 | (uint8_t)request->ifr_hwaddr.sa_data[index];
    }
    return address;
}

int croost_tap_link_address(int descriptor, uint64_t *address) {
    struct ifreq request = {0};
    if (ioctl(descriptor, SIOCGIFHWADDR, &request) != 0) return -errno;
    *address = address_in(&request);
    return 0;
}

/// Carries out a request through a socket of the calling thread's network namespace.
static int control(unsigned long command, struct ifreq *request) {
    int descriptor = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -errno;
    int result = ioctl(descriptor, command, request) == 0 ? 0 : -errno;
    close(descriptor);
    return result;
}

int croost_interface_set_mtu(const char *name, int mtu) {
    struct ifreq request = request_for(name);
    request.ifr_mtu = mtu;
    return control(SIOCSIFMTU, &request);
}

int croost_interface_set_up(const char *name) {
    struct ifreq request = request_for(name);
    int result = control(SIOCGIFFLAGS, &request);
    if (result != 0) return result;
    request.ifr_flags |= IFF_UP;
    return control(SIOCSIFFLAGS, &request);
}

int croost_interface_look(const char *name, int *is_tap, int *is_open, uint64_t *address) {
    struct ifreq request = request_for(name);
    int result = control(SIOCGIFHWADDR, &request);
    if (result != 0) return result;
    *address = address_in(&request);
    struct ethtool_drvinfo driver = {.cmd = ETHTOOL_GDRVINFO};
    request.ifr_data = (char *)&driver;
    // Interfaces that cannot tell are none of ours.
    *is_tap = control(SIOCETHTOOL, &request) == 0 && strcmp(driver.driver, "tun") == 0
        && strcmp(driver.bus_info, "tap") == 0;
    struct ethtool_value link = {.cmd = ETHTOOL_GLINK};
    request.ifr_data = (char *)&link;
    *is_open = *is_tap && control(SIOCETHTOOL, &request) == 0 && link.data != 0;
    return 0;
}
