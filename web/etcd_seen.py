"""What was read of a cluster's etcd, Kubernetes and snapshots last, as people are shown it: with its age.

Pure. Counts nothing from the states of nodes: one can be ready and no member. What is too old is not known.
`ClusterView.etcd` holds `at`, `members` (each with name, leader, learner, problem), `agree` of `asked`
control planes list them, and `silent`: what each said where none did.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from inventory.wording import count
from web import present
from web.ports import ClusterView, NodeView

ENGINE, SCHEDULED = "engine", "schedule"
NOT_MEMBER, NOT_KNOWN = "not a member", "not known"


@dataclass(frozen=True, slots=True)
class Member:
    """One that etcd lists, or a control plane that it does not list."""

    name: str
    role: str  # leader, member, learner, not a member, not known
    badge: present.Badge
    known: bool = True  # a node of this cluster here


@dataclass(frozen=True, slots=True)
class Etcd:
    """`voters`: members that are no learners; `well`: those of them with nothing amiss."""

    at: str
    badge: present.Badge
    members: Sequence[Member]
    voters: int
    well: int
    silent: Mapping[str, str]
    agree: int
    asked: int

    @property
    def needed(self) -> int:
        return self.voters // 2 + 1


@dataclass(frozen=True, slots=True)
class Cordons:
    """`known`: read lately; only then an empty `nodes` says that there are none."""

    at: str
    nodes: Sequence[str]
    known: bool


def etcd(cluster: ClusterView, nodes: Sequence[NodeView], now: datetime) -> Etcd:
    """`nodes`: all that are known of the cluster."""
    read = cluster.etcd
    at = str(read.get("at", ""))
    fresh, listed = not present.is_stale(at, now), list(read.get("members", ()))
    planes = [node.name for node in nodes if node.role != "worker"]
    names = {str(one["name"]) for one in listed}
    members = [_member(one, fresh, known=str(one["name"]) in planes) for one in listed]
    members += [_absent(name, known=fresh and bool(listed)) for name in planes if name not in names]
    voters = [one for one in listed if not one["learner"]]
    well = sum(not one["problem"] for one in voters)
    badge = _quorum(len(voters), well) if fresh else present.Badge("unknown", _unread(at, now))
    silent = {} if listed else dict(read.get("silent", {}))
    return Etcd(
        at, badge, members, len(voters), well, silent, int(read.get("agree", 0)), int(read.get("asked", 0))
    )


def _member(one: Mapping[str, object], fresh: bool, *, known: bool) -> Member:
    role = "learner" if one["learner"] else "leader" if one["leader"] else "member"
    if not fresh:
        badge = present.Badge("unknown", "not known now")
    elif one["problem"]:
        badge = present.Badge("bad", str(one["problem"]))
    elif one["learner"]:
        badge = present.Badge("busy", "catches up, has no vote yet")
    else:
        badge = present.Badge("good", "well")
    return Member(str(one["name"]), role, badge, known)


def _absent(name: str, *, known: bool) -> Member:
    if known:
        return Member(name, NOT_MEMBER, present.Badge("warn", "etcd does not list it"))
    return Member(name, NOT_KNOWN, present.Badge("unknown", "not known"))


def _unread(at: str, now: datetime) -> str:
    return f"not known: read {present.age(at, now)}" if at else "not known: never read"


def _quorum(voters: int, well: int) -> present.Badge:
    spare = well - (voters // 2 + 1)
    if not voters:
        return present.Badge("bad", "no control plane lists its members")
    if spare < 0:
        return present.Badge("bad", "no majority is well")
    if well < voters:
        return present.Badge("warn", f"{spare} more may fail" if spare else "no member may fail now")
    if voters == 1:
        return present.Badge("good", "the only member is well")
    return present.Badge("good", f"{spare} may fail") if spare else present.Badge("warn", "none may fail")


def cordons(cluster: ClusterView, now: datetime) -> Cordons:
    at = str(cluster.cordons.get("at", ""))
    return Cordons(at, tuple(cluster.cordons.get("nodes", ())), not present.is_stale(at, now))


def marks(seen: Etcd, cordoned: Cordons) -> Mapping[str, str]:
    """What the picture writes into a node's box. Nothing at all where nothing was ever read."""
    found = {one.name: [_mark(one)] for one in seen.members} if seen.at else {}
    for name in cordoned.nodes if cordoned.known else ():
        found.setdefault(name, []).append("cordoned")
    return {name: " · ".join(each) for name, each in found.items()}


def _mark(one: Member) -> str:
    if one.badge.tone == "unknown":
        return "etcd: not known"
    return "not in etcd" if one.role == NOT_MEMBER else f"etcd {one.role}"


def snapshot_origin(snapshot: Mapping[str, str]) -> str:
    """From which node, why, and by whom."""
    reason, actor = snapshot.get("reason", ""), snapshot.get("actor", "")
    by = {ENGINE: "by the controller", "": "by whom was not written down"}.get(actor, f"by {actor}")
    why = "on schedule" if reason == SCHEDULED else reason
    return ", ".join(filter(None, (f"from {snapshot.get('node', '')}", why, by)))


def agreement(seen: Etcd) -> str:
    """How many control planes tell the same; empty if all do, or none tells anything."""
    if not seen.voters or seen.agree >= seen.asked:
        return ""
    return f"only {seen.agree} of {count(seen.asked, 'control plane')} list the same members"
