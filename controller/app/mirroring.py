"""Keeps the `PlatformUpdate` of each cluster that has one: spec and status as the controller knows them.

A mirror is never obeyed. What somebody wrote into its spec is kept as a proposal for the operator, and the
spec is written as it should be again. A cluster that can't be reached holds nothing up.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from controller.app import updates
from controller.app.context import Limits
from controller.app.services import Services
from controller.app.upgrade.reach import Reach
from controller.app.windows import site_decision
from controller.core import platform_update as mirror
from controller.store import ClusterRow
from controller.store.mirrors import MirrorRow
from inventory.calendar import SiteCalendar
from inventory.errors import BusyError, FleetError, OperatorError
from inventory.lifecycle import NodeState
from web.ports import RolloutView

EVERY = 30.0  # seconds between two looks
_SHOWN = 20  # rollouts looked at for the history


async def keep_mirrors(services: Services, *, every: float = EVERY) -> None:
    """Ticks for ever. While another program has the store locked, a tick is left out."""
    while True:
        with suppress(BusyError):
            await tick(services)
        await services.clock.sleep(every)


async def tick(services: Services) -> None:
    """All mirrors once, side by side."""
    await asyncio.gather(*(_one(services, row) for row in services.store.mirrors()))


async def _one(services: Services, row: MirrorRow) -> None:
    cluster = services.store.cluster(row.cluster)
    if cluster is None or not cluster.verified_at:
        return  # it has no API yet
    reach = Reach(services, row.cluster, Limits.default())
    try:
        spec = _wanted(services, cluster).to_dict()
        await _write(
            services, reach, row, spec, _truth(services, cluster).to_dict(_stamp(services.clock.now()))
        )
    except FleetError as error:
        services.store.mirrored(row.cluster, None, str(error.what))
    else:
        services.store.mirrored(row.cluster, spec)
    finally:
        await reach.close()


async def _write(
    services: Services, reach: Reach, row: MirrorRow, spec: Mapping[str, Any], status: Mapping[str, Any]
) -> None:
    path = f"{mirror.PATH}/{mirror.NAME}"
    found = await _get(services, reach, path)
    if found is None:
        await _define(services, reach)
        await _create(services, reach, mirror.PATH, mirror.resource(spec))
    else:
        if row.written is not None:
            proposed = mirror.proposal(found.get("spec"), row.written)
            if proposed:
                services.store.propose(row.cluster, proposed, _manager(found))
        if found.get("spec") != spec:
            await _patch(services, reach, path, {"spec": spec})
    await _patch(services, reach, f"{path}/status", {"status": status})


async def _define(services: Services, reach: Reach) -> None:
    """The definition, once; it is served a moment after it was made."""
    path = f"{mirror.DEFINITION_PATH}/{mirror.PLURAL}.{mirror.GROUP}"
    if await _get(services, reach, path) is None:
        await _create(services, reach, mirror.DEFINITION_PATH, mirror.definition())
    for _ in range(40):
        known = await _get(services, reach, path)
        conditions = ((known or {}).get("status") or {}).get("conditions") or ()
        if any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions):
            return
        await services.clock.sleep(0.25)


async def _get(services: Services, reach: Reach, path: str) -> Mapping[str, Any] | None:
    return await reach.kube(
        lambda config, host, port: services.kube.get_object(config, path, host=host, port=port)
    )


async def _create(services: Services, reach: Reach, path: str, body: Mapping[str, Any]) -> None:
    await reach.kube(
        lambda config, host, port: services.kube.create_object(config, path, body, host=host, port=port)
    )


async def _patch(services: Services, reach: Reach, path: str, body: Mapping[str, Any]) -> None:
    await reach.kube(
        lambda config, host, port: services.kube.patch_object(config, path, body, host=host, port=port)
    )


def _manager(found: Mapping[str, Any]) -> str:
    """Who wrote the spec last, as the cluster has it. Entries are in the order of their times."""
    entries = (found.get("metadata") or {}).get("managedFields") or []
    others = [e for e in entries if isinstance(e, Mapping) and "f:spec" in (e.get("fieldsV1") or {})]
    last = max(others, key=lambda e: str(e.get("time", "")), default={})
    return str(last.get("manager", ""))[:100]


# --- what is true


def _wanted(services: Services, cluster: ClusterRow) -> mirror.Wanted:
    windows = tuple(
        mirror.Window(w.name, tuple(w.days), w.start, w.minutes, w.timezone or calendar.timezone)
        for calendar in _calendars(services, cluster)
        for w in calendar.windows
    )
    under_way = _under_way(services, cluster.name)
    target = under_way.facts.get("target", {}) if under_way else {}
    runs = Counter(n.talos for n in services.store.nodes(cluster=cluster.name) if n.talos)
    frozen = [f.reason for f in services.store.freezes() if f.concerns(cluster.site)]
    feed = services.store.feed()
    return mirror.Wanted(
        talos=str(target.get("talos") or (runs.most_common(1)[0][0] if runs else "")),
        kubernetes=str(target.get("kubernetes") or cluster.kubernetes),
        channel=feed.channel if feed else "",
        windows=windows,
        frozen="; ".join(frozen),
    )


def _truth(services: Services, cluster: ClusterRow) -> mirror.Truth:
    nodes = services.store.nodes(cluster=cluster.name)
    versions = Counter(node.talos or "unknown" for node in nodes)
    under_way = _under_way(services, cluster.name)
    available = _available(services, versions)
    upcoming = [site_decision(services, each.site).next for each in _calendars(services, cluster)]
    state, message = _state(cluster, under_way, available)
    return mirror.Truth(
        state=state,
        message=message,
        versions=versions,
        nodes=len(nodes),
        ready=sum(node.state == NodeState.READY for node in nodes),
        available=available,
        rollout=under_way.id if under_way else "",
        next_window=next((_stamp(span.start) for span in upcoming if span), ""),
        history=_history(services, cluster.name),
    )


def _state(cluster: ClusterRow, under_way: RolloutView | None, available: str) -> tuple[str, str]:
    if cluster.problem:
        return "NeedsHands", cluster.problem
    if under_way is not None:
        why = str(under_way.summary.get("why") or "")
        if under_way.rollback_of:
            return "RollingBack", why
        return ("Updating" if under_way.status == "running" else "Paused"), why
    return ("UpdateAvailable", f"Talos {available} is available") if available else ("UpToDate", "")


def _under_way(services: Services, cluster: str) -> RolloutView | None:
    return next((r for r in _rollouts_of(services, cluster) if not r.over), None)


def _rollouts_of(services: Services, cluster: str) -> list[RolloutView]:
    queries = services.queries
    return [
        view
        for view in queries.rollouts(_SHOWN)
        if any(each["name"] == cluster for each in queries.rollout_clusters(view.id))
    ]


def _history(services: Services, cluster: str) -> list[mirror.Past]:
    return [
        mirror.Past(view.id, _version(view), view.status, view.finished_at)
        for view in _rollouts_of(services, cluster)
        if view.over
    ]


def _version(view: RolloutView) -> str:
    target = view.facts.get("target") or {}
    return ", ".join(f"{part} {version}" for part, version in sorted(target.items()) if version)


def _available(services: Services, versions: Mapping[str, int]) -> str:
    """The newest Talos release that may be installed and that some node does not run."""
    try:
        known = updates.known(services)
    except OperatorError:
        return ""  # no publisher is trusted
    newest = next((k.release.version for k in known if k.allowed and k.release.kind == "talos"), "")
    return newest if newest and set(versions) != {newest} else ""


def _calendars(services: Services, cluster: ClusterRow) -> list[SiteCalendar]:
    """Its site's; none for a cluster that was adopted and never applied."""
    return [each for each in services.store.calendars() if each.site == cluster.site]


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
