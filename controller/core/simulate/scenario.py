"""What is simulated: a fleet and its faults, drawn from a seed. Simulates nothing itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from random import Random
from typing import Any

from controller.core.rollout.model import Policy, Target, Timing
from controller.core.rollout.planning import Cluster, Node, Releases


class Ill(StrEnum):
    """How one node behaves when it gets a new version."""

    COMES_BACK_OLD = "comes-back-old"
    COMES_BACK_BAD = "comes-back-bad"
    NEVER_RETURNS = "never-returns"
    FLAPS = "flaps"
    DRAIN_HANGS = "drain-hangs"
    INSTALL_FAILS = "install-fails"
    BOOTS_SLOWLY = "boots-slowly"
    RESTARTS_BY_ITSELF = "restarts-by-itself"
    LIES_ABOUT_VERSION = "lies-about-version"
    LIES_ABOUT_HEALTH = "lies-about-health"
    DIES_LATER = "dies-later"  # well at first, ill during the bake


@dataclass(frozen=True, slots=True)
class Faults:
    """Chances are per message; times are seconds from the start. All faults end at `until`."""

    lost_reply: float = 0.0
    lost_request: float = 0.0
    not_sent: float = 0.0
    lost_read: float = 0.0
    duplicate: float = 0.0
    latency: float = 0.2  # mean; reads and replies overtake each other
    kill: float = 0.0  # per step, at one of three points
    down: tuple[float, ...] = ()  # seconds that the controller stays away, in turn
    kill_at: tuple[int, int] | None = None  # (step number, point): once, exactly there
    crashes: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)  # node → (from, to)
    cut: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)  # from the controller
    jumps: tuple[tuple[float, float], ...] = ()  # (when, seconds) of the controller's wall clock
    ill: Mapping[str, Ill] = field(default_factory=dict)
    until: float = 6 * 3600.0


@dataclass(frozen=True, slots=True)
class Openings:
    """Every site's window: opens at `offset` of each `period` and stays so for `length`; frozen spans."""

    period: float = 86400.0
    length: float = 86400.0
    offsets: Mapping[str, float] = field(default_factory=dict)
    frozen: tuple[tuple[float, float], ...] = ()
    overrides: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)  # site → spans

    def left(self, site: str, at: float) -> float:
        """Seconds until the window closes; 0 = closed."""
        if self.length >= self.period:
            return self.period
        passed = (at - self.offsets.get(site, 0.0)) % self.period
        spans = self.overrides.get(site, ())
        by_hand = max((end - at for start, end in spans if start <= at < end), default=0.0)
        return max(0.0, self.length - passed, by_hand)

    def is_frozen(self, at: float) -> bool:
        return any(start <= at < end for start, end in self.frozen)


@dataclass(frozen=True, slots=True)
class Scenario:
    seed: int
    target: Target
    policy: Policy
    clusters: tuple[Cluster, ...]
    releases: Releases
    faults: Faults
    openings: Openings = field(default_factory=Openings)
    operator: bool = True  # somebody resumes what paused, approves, sometimes aborts
    alone: bool = False  # it is that person who started it, and there is nobody else
    abort_at: float = 0.0
    human_cordons: tuple[str, ...] = ()
    pauses: tuple[float, ...] = ()  # when somebody pauses; the operator resumes some minutes later
    backs: tuple[float, ...] = ()  # seconds after its end that the rollout is rolled back, once and again
    leases: Mapping[str, tuple[tuple[float, float], ...]] = field(default_factory=dict)  # held by another
    start: float = 1_780_000_000.0  # wall clock

    def holder(self, cluster: str, at: float) -> str:
        """Who else holds the cluster's disruption lease."""
        held = any(start <= at < end for start, end in self.leases.get(cluster, ()))
        return "another controller" if held else ""

    @property
    def nodes(self) -> int:
        return sum(len(cluster.nodes) for cluster in self.clusters)


PATCH = "1.33.9"  # of the Kubernetes that all fleets start with
RELEASES = Releases(("1.11.6", "1.12.11", "1.13.9"), ("1.33.6", "1.34.1", "1.35.4"))
QUICK = Timing(
    stage=900,
    drain=300,
    install=600,
    reboot=600,
    verify=300,
    soak=60,
    soak_deadline=400,
    guard_wait=400,
    blocked=1800,
    preflight=7200,
    health=60,
)


def draw(seed: int, *, max_nodes: int = 500) -> Scenario:
    """One fleet. Small ones are more frequent than large ones."""
    random = Random(seed)  # noqa: S311 - a simulation
    clusters = _clusters(random, max_nodes)
    names = [node.name for cluster in clusters for node in cluster.nodes]
    faults = _faults(random, names)
    sites = sorted({cluster.site for cluster in clusters})
    policy = _policy(random, len(clusters))
    scenario = Scenario(
        seed=seed,
        target=random.choice(
            [
                Target(talos="1.12.11"),
                Target(talos="1.13.9"),
                Target(talos="1.13.9"),
                Target(kubernetes="1.34.1"),
                Target(talos="1.13.9", kubernetes="1.35.4"),
                Target(talos="1.12.12", schematic="new"),
            ]
        ),
        policy=policy,
        clusters=clusters,
        releases=RELEASES,
        faults=faults,
        openings=_openings(random, sites, narrow=len(names) < 60),
        abort_at=random.uniform(600, 20000) if random.random() < 0.1 else 0.0,
        human_cordons=tuple(random.sample(names, 1)) if random.random() < 0.1 else (),
        **_people(seed, [cluster.name for cluster in clusters]),
    )
    return _other_schematic(_returns(_opened_by_hand(scenario, sites)))


def _opened_by_hand(scenario: Scenario, sites: list[str]) -> Scenario:
    """Emergency overrides; by chances of their own: fleets stay what they were."""
    random = Random(f"{scenario.seed}/overrides")  # noqa: S311 - a simulation
    openings = scenario.openings
    if openings.length >= openings.period or random.random() < 0.6:
        return scenario
    overrides = {}
    for site in random.sample(sites, max(1, len(sites) // 3)):
        start = random.uniform(0, 12000)
        overrides[site] = ((start, start + random.uniform(1500, 14400)),)
    return replace(scenario, openings=replace(openings, overrides=overrides))


def _other_schematic(scenario: Scenario) -> Scenario:
    """Some get other extensions, and keep their version."""
    random = Random(f"{scenario.seed}/schematic")  # noqa: S311 - a simulation
    return replace(scenario, target=Target(schematic="new")) if random.random() < 0.05 else scenario


def _returns(scenario: Scenario) -> Scenario:
    """Rollbacks, and half of them once more. Some are of a Kubernetes patch, which is all that goes back."""
    random = Random(f"{scenario.seed}/backs")  # noqa: S311 - a simulation
    if random.random() < 0.7:
        return scenario
    backs = tuple(random.uniform(30, 7200) for _ in range(random.choice([1, 2])))
    target = Target(kubernetes=PATCH) if random.random() < 0.25 else scenario.target
    releases = replace(RELEASES, kubernetes=(PATCH, *RELEASES.kubernetes[1:]))
    faults = replace(scenario.faults, until=scenario.faults.until + 6 * 3600.0)
    return replace(scenario, backs=backs, target=target, releases=releases, faults=faults)


def _people(seed: int, clusters: list[str]) -> dict[str, Any]:
    """Pauses, and another controller's leases; by chances of their own: fleets stay what they were."""
    random = Random(f"{seed}/people")  # noqa: S311 - a simulation
    pauses = tuple(random.uniform(60, 9000) for _ in range(random.choice([0, 0, 0, 1, 3])))
    held = random.sample(clusters, max(1, len(clusters) // 5)) if random.random() < 0.2 else []
    leases = {}
    for name in held:
        start = random.uniform(0, 6000)
        leases[name] = ((start, start + random.uniform(60, 2400)),)
    alone = Random(f"{seed}/alone").random() < 0.3  # noqa: S311 - a simulation
    return {"pauses": pauses, "leases": leases, "alone": alone}


def _policy(random: Random, clusters: int) -> Policy:
    timing = QUICK if random.random() < 0.7 else Timing()
    return Policy(
        waves_percent=random.choice([(1, 5, 25, 100), (1, 5, 25, 100), (5, 100), (1, 10, 50, 100), (1, 100)]),
        bake_seconds=random.choice([(600, 300, 120), (1800, 600), (0,), (3600, 1200, 300)]),
        max_fail_percent=random.choice([0, 5, 5, 10, 30, 100]),
        max_fail_clusters=random.choice([0, 2, 20]),
        max_unavailable=random.choice([1, 1, 2, 3]),
        max_unavailable_percent=random.choice([0, 0, 20, 50]),
        max_parallel=random.choice([1, 5, 50]) if clusters < 6 else random.choice([10, 50]),
        approval=random.choice(["none", "none", "first-wave", "each-wave"]),
        accept_downtime=random.random() < 0.9,
        force_drain=random.random() < 0.2,
        timing=timing,
    )


def _clusters(random: Random, max_nodes: int) -> tuple[Cluster, ...]:
    wanted = max(1, int(max_nodes ** (random.random() ** 1.8)))
    found: list[Cluster] = []
    total = 0
    while total < wanted:
        number = len(found)
        planes = random.choice([1, 1, 3, 3, 3, 3, 5, 4])
        workers = random.choice([0, 1, 2, 3, 8]) if random.random() < 0.9 else random.randint(8, 60)
        size = min(planes + workers, max(wanted - total, 1))
        versions = random.choice(["1.11.6", "1.11.6", "1.12.11"])
        nodes = tuple(Node(f"n{number}-{i}", i < planes, versions, "1.33.6", "old") for i in range(size))
        site = f"site{random.randrange(max(1, number // 2 + 1))}"
        found.append(Cluster(f"c{number}", site, nodes, canary=random.random() < 0.05))
        total += size
    return tuple(found)


def _spans(
    random: Random, names: list[str], share: float, longest: float
) -> dict[str, tuple[tuple[float, float], ...]]:
    chosen = random.sample(names, min(len(names), int(len(names) * share) + (random.random() < share * 5)))
    spans: dict[str, tuple[tuple[float, float], ...]] = {}
    for name in chosen:
        start = random.uniform(0, 9000)
        spans[name] = ((start, start + random.uniform(20, longest)),)
    return spans


def _swizzle(random: Random, names: list[str]) -> dict[str, tuple[tuple[float, float], ...]]:
    """Nodes lose the controller one after the other, and find it again in another order."""
    chosen = random.sample(names, max(1, len(names) // 3))
    start = random.uniform(100, 4000)
    ends = list(range(len(chosen)))
    random.shuffle(ends)
    step = random.uniform(1, 30)
    middle = start + step * len(chosen) + random.uniform(0, 300)
    return {name: ((start + i * step, middle + ends[i] * step),) for i, name in enumerate(chosen)}


def _faults(random: Random, names: list[str]) -> Faults:
    rate = random.choice([0.0, 0.0, 0.01, 0.05, 0.15])
    ill_share = random.choice([0.0, 0.0, 0.02, 0.1, 0.3])
    ill = {name: random.choice(list(Ill)) for name in names if random.random() < ill_share}
    cut = _swizzle(random, names) if random.random() < 0.25 else _spans(random, names, rate, 900)
    jumps: tuple[tuple[float, float], ...] = ()
    if random.random() < 0.3:
        jumps = tuple(
            (random.uniform(60, 9000), random.choice([-86400, -3600, -30, 30, 3600, 86400.0]))
            for _ in range(random.randint(1, 3))
        )
    return Faults(
        lost_reply=rate,
        lost_request=rate,
        not_sent=rate,
        lost_read=rate * 2,
        duplicate=rate * 2,
        latency=random.choice([0.05, 0.5, 3.0]),
        kill=random.choice([0.0, 0.001, 0.01, 0.05]) * min(1.0, 100 / max(len(names), 1)),
        down=(5.0, random.uniform(1, 100), random.uniform(60, 4000)),
        crashes=_spans(random, names, rate, 2000),
        cut=cut,
        jumps=jumps,
        ill=ill,
    )


def _openings(random: Random, sites: list[str], *, narrow: bool) -> Openings:
    frozen: tuple[tuple[float, float], ...] = ()
    if random.random() < 0.15:
        start = random.uniform(0, 8000)
        frozen = ((start, start + random.uniform(100, 4000)),)
    if random.random() < 0.5 or not narrow:
        return Openings(frozen=frozen)
    period = random.choice([7200.0, 14400.0, 43200.0])
    offsets = {site: random.uniform(0, period) for site in sites}
    return Openings(
        period=period, length=max(2000.0, period / random.choice([2, 4, 6])), offsets=offsets, frozen=frozen
    )
