"""The Kubernetes API as far as verifying a cluster needs it (`app.ports.KubeApi`).

Uses the official client's HTTP layer in a thread, with the kubeconfig in memory: the client's own loader
would leave certificate files in the temporary folder until the program ends. What changes something in a
cluster is in `kube_work`.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from controller.adapters.kube_access import Access, address_of, bracketed, failed, read_kubeconfig, refused
from controller.adapters.kube_objects import KubeObjects
from controller.app.ports import KubeNode
from inventory.errors import NodeError, Unreachable

_ROLE = "node-role.kubernetes.io/"
_Question = Callable[[Any, float], Any]  # (client, seconds) → the client's own model


class KubernetesApi(KubeObjects):
    def __init__(self, *, deadline: float = 10) -> None:
        """`deadline`: seconds for one request, connecting included."""
        super().__init__(deadline)
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
        access = read_kubeconfig(kubeconfig)
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


def _call(access: Access, question: _Question, host: str, port: int, deadline: float) -> Any:
    # Imported here: the client costs time and memory that only those who ask a cluster should pay.
    import urllib3
    from kubernetes.client import ApiClient, Configuration
    from kubernetes.client.exceptions import ApiException

    from controller.adapters.tls import client_context

    name, real_port = address_of(access.server)
    configuration = Configuration()
    configuration.host = f"https://{bracketed(host or name)}:{port or real_port}"
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
        raise (
            refused(error.status, error.reason or "", access.server)
            if error.status
            else failed(error, access.server)
        ) from error
    except urllib3.exceptions.HTTPError as error:
        raise failed(error, access.server) from error
    except (ValueError, TypeError, RecursionError) as error:
        raise NodeError(
            "the answer can't be read", where=access.server, fix="check what listens there"
        ) from error
    finally:
        client.rest_client.pool_manager.clear()


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
