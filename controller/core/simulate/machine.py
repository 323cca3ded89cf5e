"""One simulated machine: two boot slots, a boot count, a cordon, and an illness that shows with what is new.

Values and what follows from them; `world` moves them.
"""

from dataclasses import dataclass, field

from controller.core.simulate.scenario import Ill


@dataclass(slots=True)
class Machine:
    name: str
    cluster: str
    control_plane: bool
    booted: str
    other: str  # version in the slot that is not running
    kubelet: str
    apiserver: str
    schematic: str
    default: str = ""  # version that starts next
    default_schematic: str = ""
    other_schematic: str = ""
    original: tuple[str, ...] = ()
    boots: int = 1
    up: bool = True
    up_since: float = -1e9
    down_since: float = -1e9
    settles: float = 15.0  # seconds after a boot until it is healthy
    cordoned: bool = False
    by_human: bool = False
    drained: bool = False
    staged: set[str] = field(default_factory=set)
    ill: Ill | None = None
    dead: bool = False  # never comes back
    by_us: bool = False  # down or restarting because of an act

    @property
    def changed(self) -> bool:
        """Whether another system than the one that runs starts next."""
        return (self.default, self.default_schematic) != (self.booted, self.schematic)

    @property
    def systems(self) -> tuple[str, ...]:
        return self.booted, self.schematic, self.kubelet, self.apiserver

    @property
    def as_it_was(self) -> bool:
        return self.systems == self.original
