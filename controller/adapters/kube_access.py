"""What a kubeconfig says, and what the answers and failures of a Kubernetes API mean. Sends nothing."""

import base64
import binascii
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from inventory.errors import NodeError, OperatorError, Unreachable


@dataclass(frozen=True, slots=True)
class Access:
    """What a kubeconfig's current context says."""

    server: str
    ca: str
    crt: str
    key: str = field(repr=False)


def refused(status: int, reason: str, where: str) -> NodeError:
    """What an answer other than 2xx means."""
    if status in {401, 403}:
        return NodeError(f"{status} {reason}", where=where, fix="fetch the cluster's kubeconfig again")
    if status in {429, 500, 502, 503, 504}:
        return Unreachable(f"{status} {reason}", where=where, fix="wait; the API server is not ready")
    return NodeError(f"{status} {reason}", where=where, fix="look at the cluster's API server")


def failed(error: Exception, where: str) -> NodeError:
    """What it means that there was no answer."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return NodeError(
                f"its certificate is not the cluster's ({cause.verify_message})",
                where=where,
                fix="check what listens there; fetch the kubeconfig again",
            )
        cause = cause.__cause__ or cause.__context__
    return Unreachable(f"no connection ({type(error).__name__})", where=where, fix="check its control planes")


def address_of(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise OperatorError(f"{server!r} is no https:// address", where="kubeconfig", fix="fetch it again")
    return parts.hostname, parts.port or 443


def bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def read_kubeconfig(kubeconfig: bytes) -> Access:
    """The current context; only what Talos writes (certificate data inside the file) is supported."""
    import yaml

    try:
        document = yaml.safe_load(kubeconfig)
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        return Access(
            str(cluster["server"]),
            _decoded(cluster["certificate-authority-data"]),
            _decoded(user["client-certificate-data"]),
            _decoded(user["client-key-data"]),
        )
    except (yaml.YAMLError, KeyError, TypeError, ValueError, binascii.Error) as error:
        raise OperatorError("the kubeconfig can't be read", fix="fetch it again from the cluster") from error


def _named(items: Any, name: str) -> Mapping[str, Any]:
    for item in items:
        if item["name"] == name:
            found: Mapping[str, Any] = item
            return found
    raise KeyError(name)


def _decoded(data: str) -> str:
    return base64.b64decode(data, validate=True).decode("ascii")
