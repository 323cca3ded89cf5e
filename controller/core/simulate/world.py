"""The simulated machines: what is really so, whatever anybody says. Knows no controller and judges nothing.

Effects of acts are planned as (time, function) on the heap of whoever runs the world.
"""

from collections.abc import Callable
from random import Random

from controller.core.quorum import MemberRead
from controller.core.rollout.messages import Act, ClusterSeen, NodeView, Result, Verdict
from controller.core.rollout.model import HopKind
from controller.core.simulate.machine import Machine
from controller.core.simulate.scenario import Ill, Scenario

Later = Callable[[float, Callable[[], None]], None]
_KUBERNETES = (HopKind.CONTROL_PLANE, HopKind.KUBELET)


class World:
    """All machines. `time` is the true time; whoever runs the world sets it."""

    def __init__(self, scenario: Scenario, random: Random, later: Later) -> None:
        self.scenario, self.random, self.later = scenario, random, later
        self.time = 0.0
        self.machines: dict[str, Machine] = {}
        self.members: dict[str, list[Machine]] = {}
        for cluster in scenario.clusters:
            self.members[cluster.name] = []
            for node in cluster.nodes:
                machine = Machine(
                    node.name,
                    cluster.name,
                    node.control_plane,
                    node.talos,
                    "",
                    node.kubernetes,
                    node.kubernetes if node.control_plane else "",
                    node.schematic,
                    default=node.talos,
                    default_schematic=node.schematic,
                    ill=scenario.faults.ill.get(node.name),
                    settles=random.uniform(3, 30),
                )
                machine.original = machine.systems
                machine.cordoned = machine.by_human = node.name in scenario.human_cordons
                self.machines[node.name] = machine
                self.members[cluster.name].append(machine)

    # What is true.

    def cut(self, name: str) -> bool:
        return any(a <= self.time < b for a, b in self.scenario.faults.cut.get(name, ()))

    def crashed(self, name: str) -> bool:
        return any(a <= self.time < b for a, b in self.scenario.faults.crashes.get(name, ()))

    def alive(self, m: Machine) -> bool:
        return m.up and not m.dead and not self.crashed(m.name)

    def healthy(self, m: Machine) -> bool:
        """Whether it works, its etcd member included."""
        if not self.alive(m) or self.time - m.up_since < m.settles:
            return False
        if m.as_it_was:
            return True
        if m.ill is Ill.COMES_BACK_BAD or m.ill is Ill.LIES_ABOUT_HEALTH:
            return False
        if m.ill is Ill.FLAPS:
            return int(self.time / 45) % 2 == 0
        if m.ill is Ill.DIES_LATER:
            return self.time - m.up_since < 400
        return True

    def sick_for(self, m: Machine) -> float:
        """Seconds for which it has not worked, without a break; 0 = it works, or comes and goes."""
        spans = self.scenario.faults.crashes.get(m.name, ())
        crash = max((self.time - a for a, b in spans if a <= self.time < b), default=0.0)
        if m.dead or not m.up:
            return max(crash, self.time - m.down_since)
        if not self.healthy(m) and m.ill is not Ill.FLAPS and not crash:
            begun = m.up_since + (400 if m.ill is Ill.DIES_LATER else 0)
            return self.time - max(begun, m.up_since)
        return crash

    def quorum(self, cluster: str) -> bool:
        planes = [m for m in self.members[cluster] if m.control_plane]
        return sum(self.healthy(m) for m in planes) >= len(planes) // 2 + 1

    # What is shown.

    def view(self, name: str) -> NodeView:
        m = self.machines[name]
        if not self.alive(m) or self.cut(name):
            return NodeView(name, reachable=False, cordoned=m.cordoned, problem="it does not answer")
        healthy = self.healthy(m)
        lying = m.ill is Ill.LIES_ABOUT_HEALTH
        talos = m.default if m.ill is Ill.LIES_ABOUT_VERSION else m.booted
        return NodeView(
            name,
            reachable=True,
            talos=talos,
            kubelet=m.kubelet,
            apiserver=m.apiserver,
            schematic=m.schematic,
            boot_id=f"{name}/{m.boots}",
            ready=healthy or lying,
            healthy=healthy or lying,
            cordoned=m.cordoned,
            problem="" if healthy or lying else "services are not healthy",
        )

    def sight(self, cluster: str, at: float) -> ClusterSeen:
        machines = self.members[cluster]
        planes = [m for m in machines if m.control_plane]
        answering = [m for m in planes if self.alive(m) and not self.cut(m.name)]
        members = tuple(
            MemberRead(m.name, started=self.healthy(m), busy=m.cordoned or not m.up) for m in planes
        )
        well = [m for m in planes if self.healthy(m)]
        leader = well[int(self.time / 1000) % len(well)].name if self.quorum(cluster) else ""
        return ClusterSeen(
            cluster,
            at,
            tuple(self.view(m.name) for m in machines),
            members,
            endpoints=len(answering),
            leader=leader,
            system_ready=self.quorum(cluster),
            holder=self.scenario.holder(cluster, self.time),
        )

    def probe(self, act: Act) -> Verdict:
        m = self.machines[act.node]
        if act.step in ("cordon", "uncordon", "drain", "snapshot"):
            if not self.quorum(m.cluster):
                return Verdict.CANNOT_TELL
            done = {
                "cordon": m.cordoned,
                "uncordon": not m.cordoned,
                "drain": m.drained,
                "snapshot": False,
            }[act.step]
            return Verdict.DONE if done else Verdict.NOT_DONE
        if not self.alive(m) or self.cut(m.name):
            return Verdict.CANNOT_TELL
        if act.step == "stage":
            return Verdict.DONE if act.hop.version in m.staged else Verdict.NOT_DONE
        if act.step == "patch":
            have = m.kubelet if act.hop.kind is HopKind.KUBELET else m.apiserver
            return Verdict.DONE if have == act.hop.version else Verdict.NOT_DONE
        done = m.default == act.hop.version and act.hop.schematic in ("", m.default_schematic)
        return Verdict.DONE if done else Verdict.NOT_DONE

    # What is done. Each returns (seconds until the reply, result).

    def do(self, act: Act) -> tuple[float, Result]:
        m = self.machines[act.node]
        if act.step in ("cordon", "uncordon", "drain", "snapshot"):
            if not self.quorum(m.cluster):
                return 5.0, Result.INDETERMINATE
        elif not self.alive(m) or self.cut(m.name):
            return 5.0, self.random.choice([Result.NOT_SENT, Result.INDETERMINATE])
        effects: dict[str, Callable[[Machine, Act], tuple[float, Result]]] = {
            "stage": self._stage,
            "snapshot": self._snapshot,
            "cordon": self._cordon,
            "uncordon": self._uncordon,
            "drain": self._drain,
            "install": self._install,
            "upgrade": self._upgrade,
            "reboot": self._reboot,
            "back": self._back,
            "patch": self._patch,
        }
        return effects[act.step](m, act)

    def _stage(self, m: Machine, act: Act) -> tuple[float, Result]:
        took = self.random.uniform(5, 60)
        self.later(took, lambda: m.staged.add(act.hop.version))
        return took, Result.DONE

    def _snapshot(self, _m: Machine, _act: Act) -> tuple[float, Result]:
        return self.random.uniform(2, 20), Result.DONE

    def _cordon(self, m: Machine, _act: Act) -> tuple[float, Result]:
        m.cordoned = True
        return 0.2, Result.DONE

    def _uncordon(self, m: Machine, _act: Act) -> tuple[float, Result]:
        m.cordoned = m.drained = False
        return 0.2, Result.DONE

    def _drain(self, m: Machine, act: Act) -> tuple[float, Result]:
        if m.ill is Ill.DRAIN_HANGS:
            return act.seconds, Result.FAILED
        took = self.random.uniform(5, min(120, act.seconds))

        def empty() -> None:
            m.drained = m.cordoned

        self.later(took, empty)
        return took, Result.DONE

    def _install(self, m: Machine, act: Act) -> tuple[float, Result]:
        took = self.random.uniform(20, 90)
        if m.ill is Ill.INSTALL_FAILS:
            return took, Result.FAILED

        def installed() -> None:
            if self.alive(m):
                m.other = m.default = act.hop.version  # other: with its schematic when it starts
                m.default_schematic = act.hop.schematic or m.schematic
                if m.ill is Ill.RESTARTS_BY_ITSELF:
                    self._boot(m, self.random.uniform(1, 60), mine=True)

        self.later(took, installed)
        return took, Result.DONE

    def _upgrade(self, m: Machine, act: Act) -> tuple[float, Result]:
        took, result = self._install(m, act)
        if result is Result.DONE and m.ill is not Ill.RESTARTS_BY_ITSELF:
            self.later(took + 0.1, lambda: self._boot(m, 1.0, mine=True))
        return 1.0 if result is Result.DONE else took, result

    def _reboot(self, m: Machine, _act: Act) -> tuple[float, Result]:
        self._boot(m, self.random.uniform(0.5, 5), mine=True)
        return 0.3, Result.DONE

    def _back(self, m: Machine, act: Act) -> tuple[float, Result]:
        if act.hop.kind in _KUBERNETES:
            return self._patch(m, act, act.hop.source)
        if not m.other:
            return 1.0, Result.FAILED  # as Talos does: to the other slot, whatever is in it
        m.default, m.other = m.other, m.booted
        m.default_schematic, m.other_schematic = m.other_schematic, m.schematic
        self._boot(m, self.random.uniform(0.5, 5), mine=True)
        return 0.3, Result.DONE

    def _patch(self, m: Machine, act: Act, version: str = "") -> tuple[float, Result]:
        if act.hop.kind is HopKind.KUBELET:
            m.kubelet = version or act.hop.version
        else:
            m.apiserver = version or act.hop.version
        m.up_since = self.time - m.settles + self.random.uniform(1, 15)
        return 1.0, Result.DONE

    def _boot(self, m: Machine, delay: float, *, mine: bool) -> None:
        """Goes down after `delay` and comes up again, as its illness has it."""
        takes = self.random.uniform(40, 150)
        if m.ill is Ill.BOOTS_SLOWLY and m.changed:
            takes = self.random.uniform(400, 2000)

        def down() -> None:
            if not m.up or m.dead:
                return
            m.up, m.by_us, m.down_since = False, mine, self.time
            self.later(takes, up)

        def up() -> None:
            if m.changed and m.ill is Ill.NEVER_RETURNS:
                m.dead = True
                return
            m.boots += 1
            m.up, m.by_us, m.up_since = True, False, self.time
            if m.changed and m.ill is Ill.COMES_BACK_OLD:
                m.default, m.default_schematic = m.booted, m.schematic
            elif m.changed:
                m.other, m.other_schematic = m.booted, m.schematic
                m.booted, m.schematic = m.default, m.default_schematic

        self.later(delay, down)
