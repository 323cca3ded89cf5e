"""Makes the support bundle: a 0600 tar.gz of what `controller.cli.redact` lets through.

Asks nobody, sends nothing.
"""

import io
import json
import platform
import sys
import tarfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from controller.cli import redact
from controller.cli.files import new_file
from controller.cli.names import NAMES
from controller.cli.output import plain
from web.ports import NodeView, Queries

_EVENTS, _LOG_BYTES, _LOGS = 2_000, 256 * 1024, 20
_PACKAGES = (
    "asyncssh",
    "click",
    "cryptography",
    "flask",
    "grpclib",
    "kubernetes",
    "pydantic",
    "pyinfra",
    "sqlite-utils",
)

_ROOMS = [Path(__file__).parents[2] / name for name in NAMES]


def contents(
    queries: Queries | None, findings: Sequence[Any], logs: Path, steps: Mapping[str, Sequence[Any]]
) -> dict[str, bytes]:
    """File name → contents. `queries` is None if the store can't be read: the rest may still help."""
    known = redact.vocabulary(_ROOMS)
    files: dict[str, Any] = {"versions.json": versions(), "doctor.json": _doctor(findings, known)}
    if queries is not None:
        files |= _fleet(queries, known)
        files["steps.json"] = {name: [_step(step) for step in found] for name, found in steps.items()}
    packed = {name: _json(value) for name, value in files.items()}
    return packed | _logs(logs)


def versions() -> dict[str, Any]:
    """Of the program, Python, the system and the libraries that matter."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for name in ("platform-in-a-box", *_PACKAGES):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "missing"
    system = {"system": platform.system(), "release": platform.release(), "machine": platform.machine()}
    return {"python": sys.version.split()[0], **system, "packages": found}


def _doctor(findings: Sequence[Any], known: frozenset[str]) -> list[dict[str, str]]:
    return [{"check": f.check, "level": f.level, "what": redact.words(f.what, known)} for f in findings]


def _fleet(queries: Queries, known: frozenset[str]) -> dict[str, Any]:
    nodes, clusters, sites = queries.nodes(), queries.clusters(), queries.sites()
    allowed = known | frozenset(
        [*(n.name for n in nodes), *(c.name for c in clusters), *(s.name for s in sites)]
    )
    recent = queries.events(max(0, queries.last_event_id() - _EVENTS), _EVENTS)
    return {
        "sites.json": [{"name": s.name, "timezone": s.timezone, "clusters": list(s.clusters)} for s in sites],
        "clusters.json": [
            redact.only(plain(c), redact.CLUSTER_FIELDS) | {"problem": redact.words(c.problem, allowed)}
            for c in clusters
        ],
        "nodes.json": [_node(node, allowed) for node in nodes],
        "runs.json": [redact.only(plain(run), redact.RUN_FIELDS) for run in queries.runs(50)],
        "events.json": [
            redact.only(plain(event), redact.EVENT_FIELDS)
            | {"message": redact.words(event.message, allowed)}
            | redact.only(event.data, redact.EVENT_DATA)
            for event in recent
        ],
    }


def _node(node: NodeView, allowed: frozenset[str]) -> dict[str, Any]:
    told = {"talos": redact.words(node.talos, allowed), "problem": redact.words(node.problem, allowed)}
    return redact.only(plain(node), redact.NODE_FIELDS) | told


def _step(step: Any) -> dict[str, Any]:
    fields = redact.only(plain(step), ("attempt", "epoch", "outcome", "started_at", "finished_at"))
    return {"step": step.ref.step, **fields, "slug": str(step.detail.get("slug", ""))}


def _logs(folder: Path) -> dict[str, bytes]:
    found = (
        sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)[-_LOGS:]
        if folder.is_dir()
        else []
    )
    packed = {}
    for path in found:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _LOG_BYTES))
            text = file.read(_LOG_BYTES).decode("utf-8", "replace")
        packed[f"logs/{path.name}"] = "\n".join(redact.log_lines(text)).encode()
    return packed


def _json(value: Any) -> bytes:
    return json.dumps(value, indent=1).encode()


def write(path: Path, files: Mapping[str, bytes], *, at: datetime) -> None:
    """A new 0600 tar.gz; never over another file."""
    with new_file(path) as raw, tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(f"cto-support/{name}")
            member.size, member.mode, member.mtime = len(content), 0o600, int(at.timestamp())
            tar.addfile(member, io.BytesIO(content))
