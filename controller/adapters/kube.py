"""The Kubernetes API as far as verifying a cluster needs it (`app.ports.KubeApi`).

Uses the official client's HTTP layer in a thread, with the kubeconfig in memory: the client's own loader
would leave certificate files in the temporary folder until the program ends. Changes nothing in a cluster.
"""

import asyncio
import base64
import binascii
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from controller.app.ports import KubeNode
from inventory.errors import NodeError, OperatorError, Unreachable

_ROLE = "node-role.kubernetes.io/"
_Question = Callable[[Any, float], Any]  # (client, seconds) → the client's own model


@dataclass(frozen=True, slots=True)
class _Access:
    """What a kubeconfig's current context says."""

    server: str
    ca: str
    crt: str
    key: str = field(repr=False)


class KubernetesApi:
    def __init__(self, *, deadline: float = 10) -> None:
        """`deadline`: seconds for one request, connecting included."""
        self._deadline = deadline
        self._loading = asyncio.Lock()

    async def nodes(self, kubeconfig: bytes, *, host: str = "", port: int = 0) -> Sequence[KubeNode]:
        found = await self._ask(kubeconfig, _list_nodes, host, port)
        return tuple(_node(item) for item in found.items)

    async def version(self, kubeconfig: bytes, *, host: str = "", port: int = 0) -> str:
        found = await self._ask(kubeconfig, _get_version, host, port)
        return str(found.git_version)

    async def daemon_sets(
        self, kubeconfig: bytes, namespace: str, *, host: str = "", port: int = 0
    ) -> Mapping[str, tuple[int, int]]:
        found = await self._ask(kubeconfig, partial(_list_daemon_sets, namespace), host, port)
        return {
            str(item.metadata.name): (item.status.number_ready, item.status.desired_number_scheduled)
            for item in found.items
        }

    async def _ask(self, kubeconfig: bytes, question: _Question, host: str, port: int) -> Any:
        access = _read(kubeconfig)
        async with self._loading:  # two threads that import it at once block each other
            await asyncio.to_thread(_load)
        try:
            async with asyncio.timeout(self._deadline + 2):
                return await asyncio.to_thread(_call, access, question, host, port, self._deadline)
        except TimeoutError as error:
            raise Unreachable(
                f"no answer in {self._deadline:g} s", where=access.server, fix="check its control planes"
            ) from error


def _load() -> None:
    """Imports the client, which takes most of a second the first time; that is not the cluster's fault."""
    import kubernetes.client  # noqa: F401


def _list_nodes(client: Any, deadline: float) -> Any:
    from kubernetes.client import CoreV1Api

    return CoreV1Api(client).list_node(_request_timeout=deadline)


def _list_daemon_sets(namespace: str, client: Any, deadline: float) -> Any:
    from kubernetes.client import AppsV1Api

    return AppsV1Api(client).list_namespaced_daemon_set(namespace, _request_timeout=deadline)


def _get_version(client: Any, deadline: float) -> Any:
    from kubernetes.client import VersionApi

    return VersionApi(client).get_code(_request_timeout=deadline)


def _call(access: _Access, question: _Question, host: str, port: int, deadline: float) -> Any:
    # Imported here: the client costs time and memory that only those who ask a cluster should pay.
    import urllib3
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.client.exceptions import ApiException

    from controller.adapters.tls import client_context

    name, real_port = _address(access.server)
    configuration = Configuration()
    configuration.host = f"https://{_bracketed(host or name)}:{port or real_port}"
    configuration.proxy = None  # a cluster is never asked through a proxy of the environment
    client: Any = ApiClient(configuration)
    client.rest_client.pool_manager = urllib3.PoolManager(
        ssl_context=client_context(access.ca, access.crt, access.key, alpn=("http/1.1",)),
        server_hostname=name,  # the certificate must be for the endpoint, also behind a tunnel
        retries=False,
    )
    try:
        return question(client, deadline)
    except ApiException as error:
        # Status 0 is the client's form of a TLS failure.
        raise _refused(error, access.server) if error.status else _failed(error, access.server) from error
    except urllib3.exceptions.HTTPError as error:
        raise _failed(error, access.server) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise NodeError(
            "the answer can't be read", where=access.server, fix="check what listens there"
        ) from error
    finally:
        client.rest_client.pool_manager.clear()


def _refused(error: Any, where: str) -> NodeError:
    status, reason = error.status, error.reason or ""
    if status in {401, 403}:
        return NodeError(f"{status} {reason}", where=where, fix="fetch the cluster's kubeconfig again")
    if status in {429, 500, 502, 503, 504}:
        return Unreachable(f"{status} {reason}", where=where, fix="wait; the API server is not ready")
    return NodeError(f"{status} {reason}", where=where, fix="look at the cluster's API server")


def _failed(error: Exception, where: str) -> NodeError:
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


def _address(server: str) -> tuple[str, int]:
    parts = urlsplit(server)
    if parts.scheme != "https" or not parts.hostname:
        raise OperatorError(f"{server!r} is no https:// address", where="kubeconfig", fix="fetch it again")
    return parts.hostname, parts.port or 443


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _read(kubeconfig: bytes) -> _Access:
    """The current context; only what Talos writes (certificate data inside the file) is supported."""
    import yaml

    try:
        document = yaml.safe_load(kubeconfig)
        context = _named(document["contexts"], document["current-context"])["context"]
        cluster = _named(document["clusters"], context["cluster"])["cluster"]
        user = _named(document["users"], context["user"])["user"]
        return _Access(
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


def _node(item: Any) -> KubeNode:
    labels = item.metadata.labels or {}
    conditions = item.status.conditions or () if item.status else ()
    info = item.status.node_info if item.status else None
    return KubeNode(
        name=str(item.metadata.name),
        ready=any(one.type == "Ready" and one.status == "True" for one in conditions),
        roles=tuple(sorted(label.removeprefix(_ROLE) for label in labels if label.startswith(_ROLE))),
        version=str(info.kubelet_version) if info else "",
        unschedulable=bool(item.spec and item.spec.unschedulable),
    )
