"""The `PlatformUpdate` custom resource: its definition, and what is written into it. Talks to no cluster.

One object for one cluster, cluster-scoped, so that a plain `kubectl get platformupdate` shows it. It is a
mirror: `spec` is what the controller wants, `status` what is true. What somebody writes into `spec` is taken
for a proposal, shown to the operator and put back.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GROUP, VERSION, KIND, PLURAL = "cto.5dlabs.io", "v1alpha1", "PlatformUpdate", "platformupdates"
NAME = "platform"
DEFINITION_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATH = f"/apis/{GROUP}/{VERSION}/{PLURAL}"
STATES = ("UpToDate", "UpdateAvailable", "Updating", "Paused", "RollingBack", "NeedsHands", "Unknown")
_MOST_TEXT, _MOST_ITEMS = 1024, 32


@dataclass(frozen=True, slots=True)
class Window:
    name: str
    days: tuple[str, ...]
    start: str
    minutes: int
    timezone: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """`spec`."""

    talos: str
    kubernetes: str
    channel: str = ""
    windows: tuple[Window, ...] = ()
    frozen: str = ""  # why, empty if not

    def to_dict(self) -> dict[str, Any]:
        return {
            "talos": self.talos,
            "kubernetes": self.kubernetes,
            "channel": self.channel,
            "frozen": self.frozen,
            "windows": [
                {
                    "name": each.name,
                    "days": list(each.days),
                    "start": each.start,
                    "minutes": each.minutes,
                    "timezone": each.timezone,
                }
                for each in self.windows[:_MOST_ITEMS]
            ],
        }


@dataclass(frozen=True, slots=True)
class Past:
    """A rollout that is over."""

    rollout: str
    version: str
    result: str
    finished: str


@dataclass(frozen=True, slots=True)
class Truth:
    """`status`, as far as the controller knows it. Times are ISO 8601, UTC; empty if there is none."""

    state: str
    message: str
    versions: Mapping[str, int]  # Talos version → nodes that run it
    nodes: int
    ready: int
    available: str = ""
    rollout: str = ""
    next_window: str = ""
    history: Sequence[Past] = ()

    def to_dict(self, at: str) -> dict[str, Any]:
        return {
            "state": self.state,
            "message": self.message[:_MOST_TEXT],
            "talos": ", ".join(sorted(self.versions)),
            "nodes": {"total": self.nodes, "ready": self.ready},
            # A list: a patch would leave the versions of yesterday in a map.
            "versions": [{"talos": v, "nodes": n} for v, n in sorted(self.versions.items())][:_MOST_ITEMS],
            "available": self.available,
            "rollout": self.rollout,
            "nextWindow": self.next_window,
            "lastSync": at,
            "history": [
                {"rollout": p.rollout, "version": p.version, "result": p.result, "finishedAt": p.finished}
                for p in list(self.history)[:10]
            ],
        }


def proposal(found: object, written: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody else put into `spec` since we wrote it: field → value, cut to what can be shown. A
    cluster is not trusted: fields we never wrote can't be there by the schema, and are left out anyway.
    """
    spec = found if isinstance(found, Mapping) else {}
    changed = {key: spec.get(key) for key in written if spec.get(key, _EMPTY.get(key)) != written[key]}
    return {key: _short(value) for key, value in changed.items()}


_EMPTY: Mapping[str, Any] = {"channel": "", "frozen": "", "windows": [], "talos": "", "kubernetes": ""}


def _short(value: object) -> object:
    if isinstance(value, str):
        return value[:_MOST_TEXT]
    if isinstance(value, Mapping):
        return {str(k)[:64]: _short(v) for k, v in list(value.items())[:_MOST_ITEMS]}
    if isinstance(value, list):
        return [_short(each) for each in value[:_MOST_ITEMS]]
    return value if isinstance(value, bool | int | float) or value is None else str(value)[:_MOST_TEXT]


def _text(limit: int = _MOST_TEXT, **more: Any) -> dict[str, Any]:
    return {"type": "string", "maxLength": limit, **more}


def _object(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


def _list(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "maxItems": _MOST_ITEMS, "items": dict(items)}


_COLUMNS = (
    ("State", "string", ".status.state", 0),
    ("Talos", "string", ".status.talos", 0),
    ("Wanted", "string", ".spec.talos", 0),
    ("Ready", "integer", ".status.nodes.ready", 0),
    ("Nodes", "integer", ".status.nodes.total", 0),
    ("Next-Window", "string", ".status.nextWindow", 0),
    ("Synced", "date", ".status.lastSync", 0),
    ("Message", "string", ".status.message", 1),
)


def definition() -> dict[str, Any]:
    """The CustomResourceDefinition, with a structural schema: unknown fields are pruned by the API server."""
    names = {
        "kind": KIND,
        "listKind": f"{KIND}List",
        "plural": PLURAL,
        "singular": "platformupdate",
        "shortNames": ["pu"],
    }
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {"openAPIV3Schema": _schema()},
        "additionalPrinterColumns": [
            {"name": title, "type": kind, "jsonPath": path, "priority": priority}
            for title, kind, path, priority in _COLUMNS
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "scope": "Cluster", "names": names, "versions": [version]},
    }


def _schema() -> dict[str, Any]:
    count = {"type": "integer", "minimum": 0}
    window = _object(name=_text(), days=_list(_text(16)), start=_text(8), minutes=count, timezone=_text(64))
    past = _object(rollout=_text(64), version=_text(64), result=_text(64), finishedAt=_text(40))
    versions = _object(talos=_text(64), nodes=count)
    spec = _object(
        talos=_text(64), kubernetes=_text(64), channel=_text(16), frozen=_text(), windows=_list(window)
    )
    status = _object(
        state=_text(32, enum=list(STATES)),
        message=_text(),
        talos=_text(),
        nodes=_object(total=count, ready=count),
        versions=_list(versions),
        available=_text(64),
        rollout=_text(64),
        nextWindow=_text(40),
        lastSync=_text(40),
        history=_list(past),
    )
    return _object(spec=spec, status=status)


def resource(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": KIND,
        "metadata": {"name": NAME},
        "spec": dict(spec),
    }
