"""What must hold in the simulated world, judged by its own truth and by arithmetic of its own.

Nothing here asks the rollout core: waves, budgets and bakes are counted again from what happened.
"""

from collections import defaultdict
from fractions import Fraction

from controller.core.rollout.messages import Act, ClusterSeen, Event
from controller.core.rollout.model import HopKind, RolloutState, Stage, Status
from controller.core.rollout.stops import newer
from controller.core.simulate.machine import Machine
from controller.core.simulate.scenario import Ill, Scenario
from controller.core.simulate.world import World
from inventory.errors import InvariantError

IN_TRANSIT = 30.0  # seconds that a decision may be old when its effect begins
DISRUPTIVE = frozenset(("reboot", "upgrade", "back", "patch"))
_LIARS = (Ill.LIES_ABOUT_VERSION, Ill.LIES_ABOUT_HEALTH)


class Broken(InvariantError):
    """An invariant does not hold; the seed reproduces it."""

    def __init__(self, seed: int, time: float, invariant: str, what: str) -> None:
        self.seed, self.time, self.invariant = seed, time, invariant
        super().__init__(
            f"seed {seed}, {time:.1f} s: {invariant}: {what}",
            fix=f"python -m controller.core.simulate --seed {seed} --trace",
        )


class Checker:
    """Told of every effect and every event."""

    def __init__(self, scenario: Scenario, world: World, first: RolloutState) -> None:
        self.scenario, self.world = scenario, world
        self.waves = [wave.clusters for wave in first.waves]
        self.wave_of = {name: i for i, names in enumerate(self.waves) for name in names}
        self.site = {c.name: c.site for c in scenario.clusters}
        self.remedy = first.remedy
        self.cordoned = {
            name for name, machine in world.machines.items() if machine.cordoned
        }  # before it began
        self.versions = {name: machine.booted for name, machine in world.machines.items()}
        self.approved: dict[int, float] = {}  # wave → when somebody said so first
        self.halted = 1e18  # since when nothing may be begun: a pause, an abort, a stop
        if self.remedy and len(self.waves[0]) != 1:
            self.break_("waves", f"a rollback begins with {len(self.waves[0])} clusters")
        self.keys: set[str] = set()
        self.episodes: dict[tuple[str, str], float] = {}
        self.sent: dict[tuple[str, ...], tuple[float, float]] = {}
        self.finished: dict[str, float] = {}  # cluster → controller's observing time when it ended
        self.failed: dict[str, float] = {}
        self.ended: dict[str, str] = {}  # node → its last end
        self.observed = 0.0  # seconds for which the controller really ran
        self.shown_ill: dict[str, tuple[float, float]] = {}  # node → first, last such read
        self.under_way: dict[str, str] = {}  # node → cluster, from its first act to its end

    def break_(self, invariant: str, what: str) -> None:
        raise Broken(self.scenario.seed, self.world.time, invariant, what)

    def acting(self, act: Act) -> None:
        """Right before the effect."""
        if act.key in self.keys:
            self.break_("I8", f"{act.key} is done a second time")
        self.keys.add(act.key)
        if act.step in ("stage", "uncordon"):
            return  # neither begins a node
        machine = self.world.machines[act.node]
        episode = (act.node, f"{act.hop.kind}{act.hop.version}")
        if episode not in self.episodes:
            self.episodes[episode] = self.world.time
            self._begins(act)
        self.under_way[act.node] = act.cluster
        if act.step in ("reboot", "upgrade", "back"):
            self._once(act)
        if act.step in DISRUPTIVE and act.hop.kind is not HopKind.KUBELET:
            self._disrupts(act, machine)

    def _begins(self, act: Act) -> None:
        """I4, and the order of waves."""
        moments = (self.world.time, self.world.time - IN_TRANSIT)
        openings = self.scenario.openings
        if not any(openings.left(self.site[act.cluster], t) > 0 for t in moments):
            self.break_("I4", f"{act.node} is begun outside its site's window")
        if all(openings.is_frozen(t) for t in moments):
            self.break_("I4", f"{act.node} is begun while the fleet is frozen")
        if all(self.scenario.holder(act.cluster, t) for t in moments):
            self.break_("lease", f"{act.node} is begun while another controller holds the cluster's lease")
        if self.halted < self.world.time - IN_TRANSIT:
            self.break_("pause", f"{act.node} is begun although nothing may be since {self.halted:.0f} s")
        wave = self.wave_of[act.cluster]
        self._approved(wave, act)
        for number in range(wave + 1):
            if self.over_budget(number, before=self.world.time - IN_TRANSIT):
                self.break_("budget", f"{act.node} is begun although wave {number + 1} failed too often")
        if wave and all(w in self.finished for w in self.waves[wave - 1]):
            self._baked(wave - 1)
        elif wave:
            self.break_("waves", f"{act.node} of wave {wave + 1} is begun before the one before is finished")

    def _approved(self, wave: int, act: Act) -> None:
        """A large first wave is for two persons, too; one who is alone has ten minutes to think again."""
        gate = "none" if self.remedy else self.scenario.policy.approval
        total = len(self.wave_of)
        large = wave == 0 and len(self.waves[0]) > 1 and len(self.waves[0]) * 20 > total and not self.remedy
        if not (large or gate == "each-wave" or (gate == "first-wave" and wave == 0)):
            return
        since = self.approved.get(wave)
        if since is None:
            self.break_("approval", f"{act.node} of wave {wave + 1} is begun, which nobody approved")
        elif self.scenario.alone and self.world.time < since + 570 - 61 * len(self.scenario.faults.jumps):
            self.break_("approval", f"{act.node} of wave {wave + 1} is begun, which one person just approved")

    def _baked(self, wave: int) -> None:
        policy = self.scenario.policy
        wanted = (min(300, policy.bake_seconds[0]), 0) if self.remedy else policy.bake_seconds
        need = wanted[min(wave, len(wanted) - 1)]
        seen = self.observed - max(self.finished[name] for name in self.waves[wave])
        slack = 60.0 * len(self.scenario.faults.jumps) + 2.0
        if seen + slack < need:
            self.break_("bake", f"wave {wave + 1} was observed for {seen:.0f} of {need} s")
        late = self.scenario.policy.timing.late_failure + slack + IN_TRANSIT
        for name in self.waves[wave]:
            for machine in self.world.members[name]:
                first, last = self.shown_ill.get(machine.name, (0.0, 0.0))
                sick = self.world.sick_for(machine)
                if sick > last - first > late and name not in self.failed:
                    self.break_("bake", f"{machine.name} of wave {wave + 1} is ill for {sick:.0f} s")

    def over_budget(self, wave: int, *, before: float) -> bool:
        policy, size = self.scenario.policy, len(self.waves[wave])
        failed = sum(self.failed.get(name, 1e18) <= before for name in self.waves[wave])
        percent = 0 if wave == 0 or size <= 10 else policy.max_fail_percent
        return failed > 0 and (Fraction(failed, size) * 100 >= percent or failed > policy.max_fail_clusters)

    def _once(self, act: Act) -> None:
        """A second reboot before the first one's deadline may hit a node that is just coming up."""
        same = (act.node, act.step, act.hop.version)
        last = self.sent.get(same)
        if (
            last is not None
            and self.world.time < last[0] + last[1] - 61 * len(self.scenario.faults.jumps) - 30
        ):
            self.break_(
                "I8", f"{act.node} gets a second {act.step} {self.world.time - last[0]:.0f} s after the first"
            )
        self.sent[same] = (self.world.time, act.seconds)

    def _disrupts(self, act: Act, machine: Machine) -> None:
        """I3 and quorum, by what is true."""
        if not machine.control_plane:
            return
        planes = [m for m in self.world.members[act.cluster] if m.control_plane]
        for other in planes:
            if other is not machine and other.name in self.under_way:
                self.break_("I3", f"{act.step} of {act.node} while {other.name} is under way")
        down = [m for m in planes if m is not machine and (self.world.sick_for(m) > IN_TRANSIT or m.cordoned)]
        left = len(planes) - 1 - len(down)
        remedy = act.step == "back" or self.remedy
        # A member that does not work takes nothing from those that do; in doubt it counts as working.
        working = self.world.healthy(machine)
        if remedy:
            if len(planes) > 1 and working and left < len(planes) // 2 + 1:
                self.break_("quorum", f"{act.step} of {act.node} leaves {left} of {len(planes)}")
            return
        if down:
            self.break_("quorum", f"{act.step} of {act.node} while {down[0].name} is down or cordoned")
        if len(planes) > 1 and left < len(planes) // 2 + 1:
            self.break_("quorum", f"{act.step} of {act.node} leaves {left} of {len(planes)}")
        if len(planes) == 1 and not self.scenario.policy.accept_downtime:
            self.break_("quorum", f"{act.step} of the only control plane {act.node}, which nobody accepted")

    def shown(self, seen: ClusterSeen) -> None:
        """A read that arrived and was decided upon. What nobody could see can't be held against anybody."""
        for view in seen.nodes:
            if view.reachable and view.ready and view.healthy:
                self.shown_ill.pop(view.name, None)
            else:
                self.shown_ill[view.name] = (
                    self.shown_ill.get(view.name, (self.observed, 0.0))[0],
                    self.observed,
                )

    def told(self, event: Event) -> None:
        if event.kind in ("pause", "paused", "abort", "stopped"):
            self.halted = min(self.halted, self.world.time)
        elif event.kind == "resume":
            self.halted = 1e18
        if event.kind in ("cluster-done", "cluster-failed", "cluster-cancelled"):
            self.finished.setdefault(event.subject, self.observed)
            if event.kind == "cluster-failed":
                self.failed.setdefault(event.subject, self.world.time)
        if event.kind.startswith("node-") and event.subject in self.world.machines:
            self._node(event.kind.removeprefix("node-"), event)
        if event.kind == "stopped" and not any(
            self.over_budget(w, before=self.world.time) for w in range(len(self.waves))
        ):
            self.break_("budget", f"stopped although no wave failed too often: {event.text}")

    def _node(self, end: str, event: Event) -> None:
        machine = self.world.machines[event.subject]
        if end == "started":
            return
        self.under_way.pop(event.subject, None)
        self.ended[event.subject] = end
        version = str(event.data.get("version", ""))
        liar = machine.ill in _LIARS
        have = (machine.booted, machine.kubelet, machine.apiserver)
        if end == Stage.COMMITTED and version not in have and not liar:
            self.break_("truth", f"{machine.name} is called done with {version} and runs {have}")
        if end == Stage.ROLLED_BACK and machine.booted == version and not liar and not machine.as_it_was:
            self.break_("truth", f"{machine.name} is called rolled back and runs {version}")
        if end == Stage.NEEDS_HANDS and not event.text:
            self.break_("I7", f"{machine.name} needs hands, and nobody says why")

    def closing(self, state: RolloutState, *, settled: bool) -> None:
        """I7 once all faults are over, and no cordon is left behind."""
        if not settled:
            self.break_("I7", f"not settled: {state.status} {state.why}, {_unfinished(state)}")
        ends = defaultdict(list)
        for cluster in state.clusters.values():
            for job in cluster.nodes.values():
                ends[job.stage].append(job.name)
                machine = self.world.machines[job.name]
                hands = job.stage is Stage.NEEDS_HANDS or self.ended.get(job.name) == "needs-hands"
                hands = hands or job.name in self.cordoned
                if self.remedy and newer(machine.booted, self.versions[job.name]):
                    self.break_("back", f"{job.name} went forward to {machine.booted} in a rollback")
                if machine.cordoned and not machine.by_human and not hands:
                    self.break_("cordon", f"{job.name} ({job.stage}) is left cordoned")
                if machine.by_human and not machine.cordoned:
                    self.break_("cordon", f"{job.name} was cordoned by a person and is not any more")
        if state.status is Status.SUCCEEDED and ends.get(Stage.PLANNED):
            self.break_("I7", f"succeeded without {ends[Stage.PLANNED]}")


def _unfinished(state: RolloutState) -> str:
    for cluster in state.clusters.values():
        if cluster.phase in ("checking", "running"):
            jobs = [f"{n.name} {n.stage} {n.step} {n.mode} {n.waits}" for n in cluster.nodes.values()]
            return f"{cluster.name} {cluster.phase} waits {cluster.waits!r}: {'; '.join(jobs[:4])}"
    return f"wave {state.wave + 1} {state.waves[state.wave]}"
