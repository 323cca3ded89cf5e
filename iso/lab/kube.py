"""The part of the Kubernetes API that the product uses, served over HTTPS on a control plane's address.

GET /version, /readyz, /livez, the discovery documents, /api/v1/nodes (list, get; as a table, too), PATCH of a
node's spec.unschedulable, kube-system's DaemonSets. Client certificates of the cluster's own CA; only group
system:masters may do anything. Pods, evictions, budgets and leases are in `kube_objects`. No watch.
"""

import asyncio
import json
import ssl
from typing import Any

import h11

from iso.lab.api import LabMachine
from iso.lab.kube_documents import discovery, failure, table, wants_table
from iso.lab.talos import pki
from iso.lab.talos.cluster import Cluster, KubeNodeState
from iso.lab.talos.config import MachineConfig
from iso.lab.talos.manifests import daemon_sets
from iso.lab.talos.shared import Clock

_MAX_BODY = 1 << 20
_NODES = "/api/v1/nodes"
_DAEMON_SETS = "/apis/apps/v1/namespaces/kube-system/daemonsets"


class KubeServer:
    def __init__(self, cluster: Cluster, machine: LabMachine, config: MachineConfig, clock: Clock) -> None:
        self._cluster, self._machine, self._config, self._clock = cluster, machine, config, clock
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._context = self._make_context()
        self._server = await self.listen(self._machine.address)
        self._cluster.api_servers += 1
        self._cluster.signal.fire()

    async def listen(self, address: str) -> asyncio.Server:
        """At another address, too; whoever asked closes it."""
        port = self._machine.kube_port
        return await asyncio.start_server(self._serve, address, port, ssl=self._context)

    def adopt(self, config: MachineConfig) -> None:
        """A changed configuration: new connections get a certificate for the names in it."""
        self._config = config
        pki.renew(self._context, self._pair())

    def _make_context(self) -> ssl.SSLContext:
        authorities = self._config.kube_authorities
        return pki.server_context(self._pair(), client_ca=authorities, required=False, alpn="http/1.1")

    def _pair(self) -> pki.Pair:
        config = self._config
        ca = pki.Pair(*config.kube_ca)
        sans = (
            self._machine.address,
            "127.0.0.1",
            "localhost",
            "kubernetes",
            "kubernetes.default.svc",
            "10.96.0.1",
            config.endpoint_host,
            *config.kube_sans,
        )
        return pki.issue(ca, now=self._clock.now(), common_name="kube-apiserver", sans=sans, days=365)

    async def stop(self) -> None:
        if self._server is not None:
            self._cluster.api_servers -= 1
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()  # its handler then reads the end of the stream
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            await self._requests(reader, writer)
        except (OSError, h11.ProtocolError) as error:
            self._machine.log("kube-connection", error=str(error))
        finally:
            self._open.discard(writer)
            writer.close()

    async def _requests(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        groups = pki.organizations(writer.get_extra_info("peercert"))
        connection = h11.Connection(h11.SERVER)
        while True:
            request, body = await _receive(connection, reader)
            if request is None:
                return
            method, target = request.method.decode(), request.target.decode()
            path = target.partition("?")[0].rstrip("/")
            status, answer = self._answer(method, target, body, groups)
            if status == 200 and wants_table(_header(request, b"accept")):
                answer = _as_table(answer)
            self._machine.log("kube", method=method, path=path, status=status)
            data = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
            kind = "text/plain" if isinstance(answer, str) else "application/json"
            headers = [("content-type", kind), ("content-length", str(len(data)))]
            for event in (
                h11.Response(status_code=status, headers=headers),
                h11.Data(data=data),
                h11.EndOfMessage(),
            ):
                writer.write(connection.send(event) or b"")
            await writer.drain()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    def _answer(  # noqa: PLR0911 - one for each kind of request
        self, method: str, target: str, body: bytes, groups: frozenset[str]
    ) -> tuple[int, Any]:
        path = target.partition("?")[0].rstrip("/")
        if not self._cluster.has_quorum():
            return failure(503, "ServiceUnavailable", "etcdserver: no leader")
        if path in {"/readyz", "/livez", "/version"} and method == "GET":
            return (200, self._version()) if path == "/version" else (200, "ok")
        if "system:masters" not in groups:
            return failure(403 if groups else 401, "Forbidden" if groups else "Unauthorized", "not allowed")
        if path.startswith(f"{_NODES}/"):
            return self._one_node(method, path.removeprefix(f"{_NODES}/"), body)
        kept = self._cluster.workloads.answer(method, target, _json(body), self._clock.now())
        kept = kept or self._cluster.longhorn.answer(method, target, _json(body))
        if kept is not None:
            return kept
        found = self._document(path) if method == "GET" else None
        if found is None:
            return failure(404, "NotFound", "the server could not find the requested resource")
        return 200, found

    def _document(self, path: str) -> Any:
        """What is read at a path that is no single node; None if nothing is."""
        if path == _NODES:
            items = [self._node(node) for _, node in sorted(self._cluster.nodes.items())]
            revision = {"resourceVersion": str(self._cluster.revision)}
            return {"kind": "NodeList", "apiVersion": "v1", "metadata": revision, "items": items}
        if path == _DAEMON_SETS:
            return daemon_sets(self._cluster, "kube-system")
        place = f"{self._machine.address}:{self._machine.kube_port}"
        return discovery(path, address=place, version=self._config.kubelet_version)

    def _one_node(self, method: str, name: str, body: bytes) -> tuple[int, Any]:
        node = self._cluster.nodes.get(name)
        if node is None:
            return failure(404, "NotFound", f'nodes "{name}" not found')
        if method == "PATCH":
            try:
                spec = json.loads(body).get("spec", {})
                node.unschedulable = bool(spec.get("unschedulable"))
            except (ValueError, AttributeError):
                return failure(400, "BadRequest", "the patch is no JSON object")
            self._cluster.touch(node)
        elif method == "DELETE":
            del self._cluster.nodes[name]
        elif method != "GET":
            return failure(405, "MethodNotAllowed", f"{method} is not part of the lab")
        return 200, self._node(node)

    def _version(self) -> dict[str, str]:
        own = next((n for n in self._cluster.nodes.values() if n.address == self._machine.address), None)
        image = own.components.get("kube-apiserver", "") if own is not None else ""
        tag = image.rpartition(":")[2] or self._config.kubelet_version
        major, minor = tag.removeprefix("v").split(".")[:2]
        build = {
            "buildDate": "2026-01-01T00:00:00Z",
            "compiler": "gc",
            "goVersion": "go1.26",
            "gitTreeState": "clean",
        }
        platform = f"linux/{self._machine.arch}"
        return {
            "major": major,
            "minor": minor,
            "gitVersion": tag,
            "gitCommit": "lab",
            "platform": platform,
            **build,
        }

    def _node(self, node: KubeNodeState) -> dict[str, Any]:
        labels = {"kubernetes.io/hostname": node.name, "kubernetes.io/os": "linux", **node.labels}
        taints = []
        if node.control_plane:
            labels["node-role.kubernetes.io/control-plane"] = ""
            if not self._config.schedulable_control_planes:
                taints.append({"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"})
        if node.unschedulable:
            taints.append({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"})
        ready = {
            "type": "Ready",
            "status": "True" if node.ready else "False",
            "reason": "KubeletReady" if node.ready else "KubeletNotReady",
            "message": "kubelet is posting ready status" if node.ready else self._why_not(),
        }
        return {
            "kind": "Node",
            "apiVersion": "v1",
            "metadata": {
                "name": node.name,
                "uid": node.uid,
                "labels": labels,
                "resourceVersion": str(node.revision),
            },
            "spec": {"taints": taints, **({"unschedulable": True} if node.unschedulable else {})},
            "status": {
                "conditions": [ready],
                "addresses": [
                    {"type": "InternalIP", "address": node.address},
                    {"type": "Hostname", "address": node.name},
                ],
                "nodeInfo": self._node_info(node),
            },
        }

    def _why_not(self) -> str:
        """In the words of kubelet and containerd."""
        if self._cluster.network:
            return "container runtime status check may not have completed yet"
        why = "reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
        return f"container runtime network not ready: NetworkReady=false {why}"

    def _node_info(self, node: KubeNodeState) -> dict[str, str]:
        return {
            "architecture": self._machine.arch,
            "bootID": node.uid,
            "containerRuntimeVersion": "containerd://2.2.0",
            "kernelVersion": "6.18.0-talos",
            "kubeProxyVersion": node.version,
            "kubeletVersion": node.version,
            "machineID": node.uid.replace("-", ""),
            "operatingSystem": "linux",
            "osImage": "Talos",
            "systemUUID": node.uid,
        }


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body or b"{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _header(request: h11.Request, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in request.headers if key == name), "")


def _as_table(answer: Any) -> Any:
    """Nodes as a table; anything else as it is."""
    kind = answer.get("kind") if isinstance(answer, dict) else ""
    if kind == "NodeList":
        return table(answer["items"], answer["metadata"]["resourceVersion"])
    return table([answer], answer["metadata"]["resourceVersion"]) if kind == "Node" else answer


async def _receive(
    connection: h11.Connection, reader: asyncio.StreamReader
) -> tuple[h11.Request | None, bytes]:
    """One whole request; None when the client is gone."""
    request: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MAX_BODY:
                raise h11.RemoteProtocolError("the body is too big", error_status_hint=413)
        elif isinstance(event, h11.EndOfMessage):
            return request, bytes(body)
        else:
            return None, b""
