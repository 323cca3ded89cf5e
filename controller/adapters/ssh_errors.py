"""What went wrong on a connection, told as one of the product's errors: what, where, what to do next."""

import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from controller.adapters.ssh_library import asyncssh
from inventory.errors import FleetError, HostKeyMismatch, NodeError, Unreachable

_REFUSED = "check that the machine runs the bootstrap environment and that nothing blocks the port"
_SILENT = "check power, cable and address (cto discover shows what is announced), then run the command again"
_NO_ROUTE = (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EADDRNOTAVAIL)
_DROPPED = "run the command again: finished steps are not repeated"
_KEY = (
    "if the machine was restarted it made a new key: read the KEY words on its console and pin it again with "
    "cto node add --confirm-words; if it was not, somebody else answers at this address"
)


@contextmanager
def translated(where: str, *, wanted: str = "", seen: "Seen | None" = None) -> Iterator[None]:
    """Turn what asyncssh and the socket raise inside into FleetErrors."""
    try:
        yield
    except FleetError:
        raise
    except (OSError, asyncssh.Error) as error:
        raise explain(error, where, wanted=wanted, seen=seen) from error


class Seen:
    """The fingerprint of the host key that the other side offered, once it did."""

    __slots__ = ("fingerprint",)

    def __init__(self) -> None:
        self.fingerprint = ""


def explain(error: Exception, where: str, *, wanted: str = "", seen: Seen | None = None) -> FleetError:
    """The product's error for a transport `error` at `where`."""
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return _mismatch(where, wanted, seen.fingerprint if seen and seen.fingerprint else "an unknown key")
    if isinstance(error, asyncssh.KeyExchangeFailed) and "host key" in str(error).lower():
        return _mismatch(where, wanted, "a key of another kind")
    if isinstance(error, asyncssh.PermissionDenied):
        return NodeError(
            "the machine does not accept the controller's SSH key",
            where=where,
            fix="boot it from an image that carries this controller's public key, or add the key there",
        )
    return _unreachable(error, where)


def _unreachable(error: Exception, where: str) -> Unreachable:
    if isinstance(error, ConnectionRefusedError):
        return Unreachable("connection refused: nothing listens there", where=where, fix=_REFUSED)
    if isinstance(error, TimeoutError):
        return Unreachable("no answer in time", where=where, fix=_SILENT)
    if isinstance(error, OSError) and error.errno in _NO_ROUTE:
        return Unreachable(f"no route: {error.strerror}", where=where, fix=_SILENT)
    if isinstance(error, socket.gaierror):
        fix = "correct the address, or give a numeric one"
        return Unreachable(f"the name can't be resolved: {error.strerror}", where=where, fix=fix)
    reason = getattr(error, "reason", "") or str(error) or type(error).__name__
    return Unreachable(f"the connection was dropped: {reason}", where=where, fix=_DROPPED)


def _mismatch(where: str, wanted: str, got: str) -> HostKeyMismatch:
    return HostKeyMismatch(
        f"host key mismatch: pinned {wanted}, the machine shows {got}", where=where, fix=_KEY
    )
