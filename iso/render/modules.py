"""Which kernel modules stay: all but named folders, plus what the rest needs. Deletes nothing."""

from collections.abc import Iterable, Mapping

# Prefixes below `kernel/`. A server without a screen, installed over a wire, needs none of these.
_FOLDERS = {
    "": ("sound"),
    "net/": (
        "6lowpan 9p appletalk atm ax25 batman-adv bluetooth bridge can ceph dccp ieee802154 kcm l2tp lapb "
        "mac80211 mac802154 mpls mptcp netfilter netrom nfc nsh openvswitch phonet qrtr rds rfkill rose "
        "rxrpc sched sctp smc sunrpc tipc wireless ipv4/netfilter ipv6/netfilter x25 ife psample"
    ),
    "fs/": (
        "9p adfs affs afs befs bfs btrfs cachefiles ceph coda dlm ecryptfs efs f2fs freevxfs fscache gfs2 "
        "hfs hfsplus hpfs jffs2 jfs lockd minix netfs nfs nfs_common nfsd nilfs2 ocfs2 omfs orangefs qnx4 "
        "qnx6 quota reiserfs romfs smb sysv ubifs ufs vboxsf zonefs"
    ),
    "drivers/": (
        "accessibility android auxdisplay bluetooth comedi counter crypto extcon fpga gnss gpu greybus "
        "iio infiniband isdn leds media memstick mtd ntb parport pcmcia peci platform/surface pps rapidio "
        "soundwire staging thunderbolt uio vfio vdpa video w1 xen"
    ),
    "drivers/net/": (
        "appletalk arcnet can fddi hamradio hippi ieee802154 plip ppp slip wan wireguard wireless wwan "
        "xen-netback ipvlan vxlan geneve"
    ),
    "drivers/input/": ("gameport joystick misc tablet touchscreen"),
    "drivers/usb/": ("atm gadget image misc usbip"),
}
DROPPED = tuple(f"{above}{name}/" for above, names in _FOLDERS.items() for name in names.split())

# What `init` needs before it has a root file system.
EARLY = ("kernel/drivers/block/loop.ko", "kernel/fs/squashfs/squashfs.ko", "kernel/fs/overlayfs/overlay.ko")


def parse_dependencies(text: str) -> dict[str, tuple[str, ...]]:
    """`modules.dep`: each module, and all that must be loaded for it."""
    found = {}
    for line in text.splitlines():
        name, colon, needs = line.partition(":")
        if colon:
            found[name.strip()] = tuple(needs.split())
    return found


def kept(dependencies: Mapping[str, tuple[str, ...]]) -> frozenset[str]:
    """What stays: depmod is silent about a module whose dependency is gone, so those are added back."""
    prefixes = tuple(f"kernel/{prefix}" for prefix in DROPPED)
    wanted = {name for name in dependencies if not name.startswith(prefixes)}
    return frozenset(wanted | {need for name in wanted for need in dependencies[name]})


def load_order(dependencies: Mapping[str, tuple[str, ...]], names: Iterable[str] = EARLY) -> tuple[str, ...]:
    """The modules `names` and what they need, in an order in which insmod can load them."""
    order: dict[str, None] = {}
    for name in names:
        for need in (*reversed(dependencies[name]), name):  # modules.dep lists the nearest first
            order.setdefault(need)
    return tuple(order)
