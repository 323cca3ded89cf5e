"""Who may call what on a lab Talos: by role, by version, and in maintenance mode. Tables and questions."""

from collections.abc import Mapping

from grpclib.const import Status

MACHINE, STORAGE, COSI = "/machine.MachineService/", "/storage.StorageService/", "/cosi.resource.State/"
LIFECYCLE, IMAGE = "/machine.LifecycleService/", "/machine.ImageService/"
Refusal = tuple[Status, str]


def _paths(service: str, names: str) -> frozenset[str]:
    return frozenset(f"{service}{name}" for name in names.split())


_ADMIN = (
    _paths(
        MACHINE,
        """ApplyConfiguration Bootstrap Kubeconfig Read Reset Rollback Upgrade GenerateClientConfiguration
        EtcdRecover EtcdRemoveMemberByID EtcdLeaveCluster""",
    )
    | _paths(STORAGE, "BlockDeviceWipe")
    | _paths(LIFECYCLE, "Install Upgrade")
    | _paths(IMAGE, "Pull Import Remove")
)
_OPERATOR = _paths(
    MACHINE,
    """Reboot Shutdown EtcdForfeitLeadership EtcdAlarmDisarm EtcdDefragment ServiceStart ServiceStop
    ServiceRestart""",
)
_SPECIAL: Mapping[str, frozenset[str]] = {
    f"{MACHINE}EtcdSnapshot": frozenset({"os:admin", "os:operator", "os:etcd:backup"}),
    f"{MACHINE}MetaWrite": frozenset({"os:admin", "os:meta:writer"}),
    f"{MACHINE}MetaDelete": frozenset({"os:admin", "os:meta:writer"}),
}
_READERS = frozenset({"os:admin", "os:operator", "os:reader"})

# Service or call → first minor of Talos 1.x that has it.
_SINCE: Mapping[str, int] = {LIFECYCLE: 13, IMAGE: 13, f"{STORAGE}BlockDeviceWipe": 9}

# Maintenance mode without a management network: up to 1.12 a small server of its own …
_MAINTENANCE_12 = (
    _paths(MACHINE, "ApplyConfiguration")
    | _paths(STORAGE, "Disks BlockDeviceWipe")
    | _paths(COSI, "Get List Watch")
)
# … and from 1.13 apid itself, for readers, with two calls more.
_MAINTENANCE_13 = _paths(MACHINE, "ApplyConfiguration") | _paths(STORAGE, "BlockDeviceWipe")


def roles(path: str) -> frozenset[str]:
    """Any of these may call it."""
    if path in _SPECIAL:
        return _SPECIAL[path]
    if path in _ADMIN:
        return frozenset({"os:admin"})
    return frozenset({"os:admin", "os:operator"}) if path in _OPERATOR else _READERS


def missing(path: str, minor: int) -> Refusal | None:
    """Did this version have the call?"""
    service = path[: path.rindex("/") + 1]
    if minor >= _SINCE.get(path, _SINCE.get(service, 0)):
        return None
    return Status.UNIMPLEMENTED, f"unknown method {path.rpartition('/')[2]} for service {service.strip('/')}"


def maintenance(path: str, minor: int) -> Refusal | None:
    """Why it may not be called without a certificate, in maintenance mode."""
    if minor <= 12:
        if path in _MAINTENANCE_12:
            return None
        return Status.UNIMPLEMENTED, "API is not implemented in maintenance mode"
    if path in _MAINTENANCE_13 or "os:reader" in roles(path):
        return None
    return Status.PERMISSION_DENIED, "not authorized"
