"""What the lab's Kubernetes API says of itself, and nodes as the table that kubectl prints. Answers nobody.

Only what the lab serves is announced: nodes of the core group. Clients that discover (kubectl, dynamic
clients) then find them, and nothing that would end in an error.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Answer = tuple[int, dict[str, Any]]  # HTTP status and body
_VERBS = ["get", "list", "patch"]  # what the lab can do with them
_NODE = {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node", "shortNames": ["no"]}
# Name, format and priority: with a priority above 0 a column is shown by `-o wide` only.
_COLUMNS = (
    ("Name", "name", 0),
    ("Status", "", 0),
    ("Roles", "", 0),
    ("Age", "", 0),
    ("Version", "", 0),
    ("Internal-IP", "", 1),
    ("OS-Image", "", 1),
    ("Kernel-Version", "", 1),
    ("Container-Runtime", "", 1),
)


def discovery(path: str, *, address: str, version: str) -> Mapping[str, Any] | None:
    """The document at a path of the discovery or OpenAPI trees; None if there is none."""
    documents: Mapping[str, Mapping[str, Any]] = {
        "/api": {
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
        },
        "/api/v1": {
            "kind": "APIResourceList",
            "groupVersion": "v1",
            "resources": [{**_NODE, "verbs": _VERBS}],
        },
        "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
        "/openapi/v2": {
            "swagger": "2.0",
            "info": {"title": "Kubernetes", "version": version},
            "paths": {},
            "definitions": {},
        },
        "/openapi/v3": {"paths": {"api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"}}},
        "/openapi/v3/api/v1": {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": version},
            "paths": {},
        },
    }
    return documents.get(path)


def wants_table(accept: str) -> bool:
    """Whether the client's first choice is a table, as kubectl's is."""
    first = accept.partition(",")[0].replace(" ", "")
    return {"as=Table", "g=meta.k8s.io", "v=v1"} <= set(first.split(";"))


def table(nodes: Sequence[Mapping[str, Any]], revision: str) -> Mapping[str, Any]:
    """Nodes as rows of cells, each with the node's metadata."""
    columns = [
        {"name": name, "type": "string", "format": form, "description": "", "priority": priority}
        for name, form, priority in _COLUMNS
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": revision},
        "columnDefinitions": columns,
        "rows": [_row(node) for node in nodes],
    }


def _row(node: Mapping[str, Any]) -> Mapping[str, Any]:
    metadata, status, info = node["metadata"], node["status"], node["status"]["nodeInfo"]
    well = status["conditions"][0]["status"] == "True"
    words = ["Ready" if well else "NotReady"]
    words += ["SchedulingDisabled"] if node["spec"].get("unschedulable") else []
    roles = [label.partition("/")[2] for label in metadata["labels"] if label.startswith("node-role.")]
    cells = [
        metadata["name"],
        ",".join(words),
        ",".join(sorted(roles)) or "<none>",
        "<unknown>",  # the lab keeps no time of creation
        info["kubeletVersion"],
        status["addresses"][0]["address"],
        info["osImage"],
        info["kernelVersion"],
        info["containerRuntimeVersion"],
    ]
    meta = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {"cells": cells, "object": meta}


def failure(code: int, reason: str, text: str) -> Answer:
    """What an API server says where it does not do what was asked."""
    return code, {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "message": text,
        "reason": reason,
        "code": code,
    }
