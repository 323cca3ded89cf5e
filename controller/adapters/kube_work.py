"""The Kubernetes API as far as updating nodes needs it (`app.kube_port`): cordon, pods, evictions, a lease.

Plain requests over kept connections: a rollout asks a cluster every few seconds. Decides nothing.
"""

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from threading import Lock
from typing import Any
from urllib.parse import quote, urlencode

from controller.adapters.kube_access import address_of, bracketed, failed, read_kubeconfig, refused
from controller.app.kube_port import KubeNode, Lease, Pod
from inventory.errors import NodeError

_ROLE = "node-role.kubernetes.io/"
_MIRROR = "kubernetes.io/config.mirror"
_POOLS = 256
_KEPT = 4  # connections of each: what is asked side by side at one look, and not anew for each of them
_MAX_ANSWER = 64 << 20
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"
_PAGE = 500  # objects of one answer


class KubeWork:
    def __init__(self, deadline: float) -> None:
        """`deadline`: seconds for one request, connecting included."""
        self._deadline = deadline
        self._pools: OrderedDict[tuple[bytes, str, int], Any] = OrderedDict()
        self._guard = Lock()

    async def node_states(self, kubeconfig: bytes, *, host: str = "", port: int = 0) -> Sequence[KubeNode]:
        items = await self._list(kubeconfig, "/api/v1/nodes", {}, host, port)
        return tuple(map(_node, items))

    async def cordon(self, kubeconfig: bytes, node: str, *, on: bool, host: str = "", port: int = 0) -> None:
        path = f"/api/v1/nodes/{quote(node, safe='')}"
        body = {"spec": {"unschedulable": True if on else None}}
        await self._asked(kubeconfig, "PATCH", path, body, host, port)

    async def pods(
        self, kubeconfig: bytes, *, node: str = "", namespace: str = "", host: str = "", port: int = 0
    ) -> Sequence[Pod]:
        place = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        query = {"fieldSelector": f"spec.nodeName={node}"} if node else {}
        return tuple(map(_pod, await self._list(kubeconfig, f"/api/v1{place}/pods", query, host, port)))

    async def evict(
        self, kubeconfig: bytes, pod: Pod, *, dry_run: bool = False, host: str = "", port: int = 0
    ) -> str:
        path = f"/api/v1/namespaces/{quote(pod.namespace, safe='')}/pods/{quote(pod.name, safe='')}/eviction"
        options: dict[str, Any] = {"preconditions": {"uid": pod.uid}}
        if dry_run:
            options["dryRun"] = ["All"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": pod.name, "namespace": pod.namespace},
            "deleteOptions": options,
        }
        where, status, answer = await self._request(kubeconfig, "POST", path, body, host, port)
        if status in (404, 409):  # gone, or another pod has its name by now
            return ""
        if status == 429:
            return str(answer.get("message") or "a disruption budget does not allow it")
        if status >= 400:
            raise refused(status, str(answer.get("message", "")), where)
        return ""

    async def lease(
        self, kubeconfig: bytes, namespace: str, name: str, *, host: str = "", port: int = 0
    ) -> Lease:
        path = f"{_LEASES.format(quote(namespace, safe=''))}/{quote(name, safe='')}"
        where, status, answer = await self._request(kubeconfig, "GET", path, None, host, port)
        if status == 404:
            return Lease()
        if status >= 400:
            raise refused(status, str(answer.get("message", "")), where)
        return _lease(answer)

    async def hold_lease(
        self,
        kubeconfig: bytes,
        namespace: str,
        name: str,
        holder: str,
        *,
        now: float,
        seconds: int,
        seen: Lease,
        host: str = "",
        port: int = 0,
    ) -> bool:
        path = _LEASES.format(quote(namespace, safe=""))
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
        metadata: dict[str, Any] = {"name": name, "namespace": namespace}
        if seen.version:
            metadata["resourceVersion"] = seen.version
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": max(seconds, 1), "renewTime": at},
        }
        method, path = ("PUT", f"{path}/{quote(name, safe='')}") if seen.version else ("POST", path)
        where, status, answer = await self._request(kubeconfig, method, path, body, host, port)
        if status in (404, 409):
            return False
        if status >= 400:
            raise refused(status, str(answer.get("message", "")), where)
        return True

    # --- requests

    async def _list(
        self, kubeconfig: bytes, path: str, query: Mapping[str, str], host: str, port: int
    ) -> list[Any]:
        found: list[Any] = []
        more = ""
        while True:
            asked = {**query, "limit": str(_PAGE), **({"continue": more} if more else {})}
            answer = await self._asked(kubeconfig, "GET", f"{path}?{urlencode(asked)}", None, host, port)
            found += _rows(answer.get("items"))
            more = str(_mapping(answer.get("metadata")).get("continue") or "")
            if not more:
                return found

    async def _asked(
        self, kubeconfig: bytes, method: str, path: str, body: Any, host: str, port: int
    ) -> Mapping[str, Any]:
        where, status, answer = await self._request(kubeconfig, method, path, body, host, port)
        if status >= 400:
            raise refused(status, str(answer.get("message", "")), where)
        return answer

    async def _request(
        self, kubeconfig: bytes, method: str, path: str, body: Any, host: str, port: int
    ) -> tuple[str, int, Mapping[str, Any]]:
        return await asyncio.to_thread(self._send, kubeconfig, method, path, body, host, port)

    def _send(
        self, kubeconfig: bytes, method: str, path: str, body: Any, host: str, port: int
    ) -> tuple[str, int, Mapping[str, Any]]:
        import urllib3

        where, url, pool = self._pool(kubeconfig, host, port)
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"accept": "application/json", "content-type": kind}
        data = None if body is None else json.dumps(body).encode()
        timeout = urllib3.Timeout(total=self._deadline)
        try:
            answer = pool.request(
                method, f"{url}{path}", body=data, headers=headers, timeout=timeout, preload_content=False
            )
            try:
                text = answer.read(_MAX_ANSWER + 1)
            finally:
                answer.release_conn()
        except urllib3.exceptions.HTTPError as error:
            raise failed(error, where) from error
        return where, answer.status, _document(text, where, strict=answer.status < 400)

    def _pool(self, kubeconfig: bytes, host: str, port: int) -> tuple[str, str, Any]:
        """(server for messages, base address, connections to it)."""
        import urllib3

        from controller.adapters.tls import client_context

        digest = (hashlib.sha256(kubeconfig).digest(), host, port)
        with self._guard:
            if digest in self._pools:
                self._pools.move_to_end(digest)
                found: tuple[str, str, Any] = self._pools[digest]
                return found
        access = read_kubeconfig(kubeconfig)
        name, real = address_of(access.server)
        pool = urllib3.PoolManager(
            ssl_context=client_context(access.ca, access.crt, access.key, alpn=("http/1.1",)),
            server_hostname=name,  # the certificate must be for the endpoint, also behind a tunnel
            retries=False,
            maxsize=_KEPT,
        )
        made = access.server, f"https://{bracketed(host or name)}:{port or real}", pool
        with self._guard:
            self._pools[digest] = made
            while len(self._pools) > _POOLS:
                self._pools.popitem(last=False)
        return made


def _document(text: bytes, where: str, *, strict: bool) -> Mapping[str, Any]:
    """A JSON object. An error's answer need not be one."""
    try:
        found = json.loads(text) if len(text) <= _MAX_ANSWER else None
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        return found
    if not strict:
        return {"message": text[:200].decode(errors="replace")}
    raise NodeError("the answer can't be read", where=where, fix="check what listens there")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _rows(value: Any) -> list[Mapping[str, Any]]:
    return [_mapping(one) for one in value] if isinstance(value, list) else []


def _true(conditions: Any, kind: str) -> bool:
    return any(c.get("type") == kind and c.get("status") == "True" for c in _rows(conditions))


def _node(item: Any) -> KubeNode:
    item = _mapping(item)
    metadata, status = _mapping(item.get("metadata")), _mapping(item.get("status"))
    labels = _mapping(metadata.get("labels"))
    return KubeNode(
        name=str(metadata.get("name", "")),
        ready=_true(status.get("conditions"), "Ready"),
        roles=tuple(sorted(one.removeprefix(_ROLE) for one in labels if one.startswith(_ROLE))),
        version=str(_mapping(status.get("nodeInfo")).get("kubeletVersion", "")),
        unschedulable=bool(_mapping(item.get("spec")).get("unschedulable")),
    )


def _pod(item: Any) -> Pod:
    metadata, spec, status = (_mapping(_mapping(item).get(part)) for part in ("metadata", "spec", "status"))
    owners = _rows(metadata.get("ownerReferences"))
    owner = next((str(one.get("kind", "")) for one in owners if one.get("controller")), "")
    containers = _rows(spec.get("containers"))
    return Pod(
        namespace=str(metadata.get("namespace", "")),
        name=str(metadata.get("name", "")),
        uid=str(metadata.get("uid", "")),
        node=str(spec.get("nodeName") or ""),
        phase=str(status.get("phase", "")),
        ready=_true(status.get("conditions"), "Ready"),
        controller=owner,
        mirror=_MIRROR in _mapping(metadata.get("annotations")),
        deleting=bool(metadata.get("deletionTimestamp")),
        images={str(one.get("name", "")): str(one.get("image", "")) for one in containers},
    )


def _lease(item: Any) -> Lease:
    item = _mapping(item)
    metadata, spec = _mapping(item.get("metadata")), _mapping(item.get("spec"))
    try:
        renewed = datetime.fromisoformat(str(spec.get("renewTime", ""))).timestamp()
    except (ValueError, OverflowError):
        renewed = 0.0
    seconds = spec.get("leaseDurationSeconds")
    length = float(seconds) if isinstance(seconds, int | float) else 0.0
    return Lease(
        str(spec.get("holderIdentity") or ""), renewed + length, str(metadata.get("resourceVersion", ""))
    )
