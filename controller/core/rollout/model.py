"""What a rollout is and where it stands, as frozen values. Decides nothing: see `step`.

Two kinds of time are kept apart. `now` is the wall clock, used only for windows and for the age of reads.
`clock` is the rollout's own: it advances with the wall clock, but never backwards and at most a minute per
step, so a clock that was set and a controller that was down can't make a deadline or a bake pass.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class HopKind(StrEnum):
    """By which route one node gets from one version to the next."""

    TALOS = "talos"  # image pull, LifecycleService.Upgrade, Reboot
    TALOS_LEGACY = "talos-legacy"  # MachineService.Upgrade: installs and reboots in one call
    CONTROL_PLANE = "control-plane"  # Kubernetes static pods of one control plane, by configuration
    KUBELET = "kubelet"  # kubelet of one node, by configuration
    BACK = "back"  # Talos' other boot slot, by Rollback


@dataclass(frozen=True, slots=True)
class Hop:
    """One leg of the way to the target: adjacent minors only."""

    kind: HopKind
    source: str
    version: str
    schematic: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What the rollout wants. Empty = left as it is."""

    talos: str = ""
    kubernetes: str = ""
    schematic: str = ""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. Deadlines are of one attempt; all are counted on the rollout's own clock."""

    stage: float = 3600
    snapshot: float = 600
    cordon: float = 60
    drain: float = 900
    install: float = 1200
    reboot: float = 900  # told to reboot → seen again with another boot id
    verify: float = 600  # seen again → right version and healthy
    soak: float = 120  # stable this long before the next node
    soak_deadline: float = 900
    uncordon: float = 60
    guard_wait: float = 900  # how long a node that was begun waits for the guard's yes
    expected: float = 1200  # of one node, for admission to a window
    look: float = 10  # between reads of something that is changing
    health: float = 30  # between reads of something that should stay as it is
    inconclusive: float = 600  # without a read of a finished cluster's health: paused
    late_failure: float = 300  # a finished cluster that is ill for so long has failed after all
    preflight: float = 86400  # unmet preconditions for so long: failed
    blocked: float = 3600  # a guard that says no to every start, for so long in open windows: failed
    backoff: float = 10
    backoff_cap: float = 300


@dataclass(frozen=True, slots=True)
class Policy:
    """Limits. Made by `policy.parse`, which refuses what it can't read."""

    waves_percent: tuple[int, ...] = (1, 5, 25, 100)  # cumulative
    wave_counts: tuple[int, ...] = ()  # how many each wave has, instead; the last one has the rest
    waves_by_site: bool = False  # sites are counted, and no wave parts one
    bake_seconds: tuple[int, ...] = (86400, 14400, 3600)  # the last repeats
    max_fail_percent: int = 5  # of waves of more than ten clusters; smaller ones tolerate none
    max_fail_clusters: int = 20
    max_unavailable: int = 1  # workers of one cluster
    max_unavailable_percent: int = 0  # if set: floor of it, at least 1
    max_parallel: int = 50  # clusters at a time
    approval: str = "none"  # none, first-wave, each-wave
    accept_downtime: bool = False  # clusters with one control plane may be away
    force_drain: bool = False  # at the drain's deadline go on without it
    timing: Timing = field(default_factory=Timing)


class Stage(StrEnum):
    """Where a node is. From INSTALLING on, the node is finished or rolled back, whatever happens."""

    PLANNED = "planned"
    STAGED = "staged"
    GUARDED = "guarded"  # the cluster's disruption is this node's
    CORDONED = "cordoned"
    DRAINED = "drained"
    INSTALLING = "installing"
    REBOOTING = "rebooting"
    VERIFYING = "verifying"
    SOAKING = "soaking"
    ROLLING_BACK = "rolling-back"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled-back"
    FAILED = "failed"  # before anything was installed
    NEEDS_HANDS = "needs-hands"
    CANCELLED = "cancelled"


TERMINAL = frozenset((Stage.COMMITTED, Stage.ROLLED_BACK, Stage.FAILED, Stage.NEEDS_HANDS, Stage.CANCELLED))
WAITING = frozenset((Stage.PLANNED, Stage.STAGED))  # not disrupted yet


class Mode(StrEnum):
    """What is under way in the node's current step."""

    IDLE = "idle"  # the step is done (or none was begun); the next one waits for its turn
    ACTING = "acting"  # the intent is written; the effect may or may not have happened
    PROBING = "probing"  # what became of the effect is being looked up
    BACKOFF = "backoff"  # will be tried again
    POLLING = "polling"  # waiting for what the node shows


@dataclass(frozen=True, slots=True)
class NodeJob:
    """One node of one cluster in the hop that its cluster is in."""

    name: str
    control_plane: bool
    talos: str  # last seen, or as frozen
    kubernetes: str = ""
    schematic: str = ""
    source: str = ""  # what it ran when the hop began, in the part that the hop changes
    skip: bool = False  # left as it is by this rollout
    stage: Stage = Stage.PLANNED
    step: str = ""  # the last one begun
    mode: Mode = Mode.IDLE
    attempt: int = 0
    key: str = ""  # of the effect: rollout/hop/node/step/attempt
    since: float = 0.0  # clock at which the step or wait began
    deadline: float = 0.0
    retry_at: float = 0.0
    asked_at: float = 0.0
    boot_id: str = ""  # before the act that reboots
    seen_at: float = 0.0  # wall clock of the newest read
    seen_clock: float = -1.0  # the same on the rollout's clock
    green_since: float = -1.0
    cordoned: bool = False  # by this rollout
    kept_cordon: bool = False  # it was cordoned before: left so
    ending: Stage | None = None  # what it becomes once it is uncordoned
    stores: int = 0
    until: float = 0.0  # wall clock at which its window closes
    waits: str = ""  # why it does not go on
    reason: str = ""  # of its end


class Phase(StrEnum):
    """Where a cluster is."""

    PENDING = "pending"
    CHECKING = "checking"  # preconditions, again, right before the start
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


FINISHED = frozenset((Phase.SUCCEEDED, Phase.FAILED, Phase.CANCELLED))


@dataclass(frozen=True, slots=True)
class ClusterJob:
    name: str
    site: str
    wave: int
    hops: tuple[Hop, ...]
    nodes: Mapping[str, NodeJob]
    hop: int = 0
    phase: Phase = Phase.PENDING
    outcome: str = ""  # of a failed one: rolled-back, needs-hands, failed, late, precondition
    reason: str = ""
    waits: str = ""
    since: float = 0.0
    asked_at: float = -1e9
    blocked: float = 0.0  # seconds that a start was refused without a break
    blocked_at: float = -1e9
    due: float = 0.0  # clock at which something may be due without any observation
    snapshot_hop: int = -1  # last hop before which etcd was saved
    seen_at: float = 0.0
    last_green: float = -1.0  # clock
    red: str = ""
    red_since: float = -1.0
    ill: float = 0.0  # seconds of red since it was done or its wave baked


class Status(StrEnum):
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"  # a wave's failure budget is used up
    ABORTED = "aborted"
    SUCCEEDED = "succeeded"


@dataclass(frozen=True, slots=True)
class Wave:
    clusters: tuple[str, ...]
    started: bool = False
    baking: bool = False
    baked: float = 0.0
    passed: bool = False
    gated: bool = False  # so large for a first one that it needs approval, whatever the policy says
    asked: bool = False  # people were told that it waits for approval
    approved_by: str = ""
    holds_from: float = 0.0  # clock from which the approval counts


@dataclass(frozen=True, slots=True)
class RolloutState:
    """Everything; goes to JSON and back with `codec`. Membership, order and waves never change."""

    rollout: str
    target: Target
    policy: Policy
    waves: tuple[Wave, ...]
    clusters: Mapping[str, ClusterJob]
    seed: str  # of the backoff's jitter
    status: Status = Status.RUNNING
    why: str = ""  # it is paused, stopped or aborted
    by: str = ""
    wave: int = 0
    clock: float = 0.0
    wall: float = 0.0
    next_due: float = 0.0  # clock at which some cluster is due
    checked_at: float = -1e9  # clock of the last look at waves
    remedy: bool = False  # a rollback: floor of the guard instead of the rule for planned work
    rollback_of: str = ""
    started_by: str = ""  # who can't be the second person
    commands: tuple[str, ...] = ()  # ids that were obeyed
    failures: Mapping[str, int] = field(default_factory=dict)  # "node version" → how often
