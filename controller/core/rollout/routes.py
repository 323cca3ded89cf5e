"""The tables of one node's way: which steps a hop has, and what to do when it is not known how a step ended.

Decides by looking up only. The kill matrix, the simulator and the docs are made from these tables.
"""

from enum import StrEnum

from controller.core.rollout.messages import Verdict
from controller.core.rollout.model import HopKind, Stage, Timing

MAX_ATTEMPTS = 3
MAX_ROLLBACKS = 2
MAX_STORES = 28  # of one node in one hop: a loop is broken, however it came about
QUARANTINE_AFTER = 2  # failures of the same node with the same version

ROUTES: dict[HopKind, tuple[str, ...]] = {
    HopKind.TALOS: (
        "stage",
        "snapshot",
        "cordon",
        "drain",
        "install",
        "reboot",
        "verify",
        "uncordon",
        "soak",
    ),
    HopKind.TALOS_LEGACY: (
        "stage",
        "snapshot",
        "cordon",
        "drain",
        "upgrade",
        "verify",
        "uncordon",
        "soak",
    ),
    HopKind.CONTROL_PLANE: ("snapshot", "patch", "verify", "soak"),
    HopKind.KUBELET: ("cordon", "drain", "patch", "verify", "uncordon", "soak"),
    HopKind.BACK: ("snapshot", "cordon", "drain", "back", "verify", "uncordon", "soak"),
}

# Steps that may take a member or its node away: each needs a fresh yes of the guard.
GUARDED = frozenset(("install", "reboot", "upgrade", "patch", "back"))
# Steps whose end shows in the node's boot id and version only.
BOOTS = frozenset(("reboot", "upgrade", "back"))
# From these on the boot default or the configuration is changed: there is no way back without an act.
COMMITTING = frozenset(("install", "upgrade", "patch", "back"))

STAGE_OF: dict[str, Stage] = {
    "snapshot": Stage.GUARDED,
    "cordon": Stage.GUARDED,
    "drain": Stage.CORDONED,
    "install": Stage.INSTALLING,
    "patch": Stage.INSTALLING,
    "upgrade": Stage.REBOOTING,
    "reboot": Stage.REBOOTING,
    "verify": Stage.VERIFYING,
    "uncordon": Stage.VERIFYING,
    "soak": Stage.SOAKING,
}
STAGE_AFTER: dict[str, Stage] = {
    "stage": Stage.STAGED,
    "cordon": Stage.CORDONED,
    "drain": Stage.DRAINED,
}


class Reaction(StrEnum):
    """What follows from a probe."""

    GO_ON = "go on"
    REPEAT = "repeat"
    WAIT = "wait to the deadline, then it has failed"


# Steps in BOOTS are not here: the node itself is watched, and nothing is sent again before the deadline.
RECOVERY: dict[str, dict[Verdict, Reaction]] = {
    step: {Verdict.DONE: Reaction.GO_ON, Verdict.NOT_DONE: Reaction.REPEAT, Verdict.CANNOT_TELL: unsure}
    for step, unsure in {
        "stage": Reaction.REPEAT,
        "snapshot": Reaction.REPEAT,
        "cordon": Reaction.REPEAT,
        "drain": Reaction.REPEAT,
        "uncordon": Reaction.REPEAT,
        "install": Reaction.WAIT,
        "patch": Reaction.WAIT,
    }.items()
}


def seconds(step: str, timing: Timing) -> float:
    """How long one attempt at a step may take."""
    return {
        "stage": timing.stage,
        "snapshot": timing.snapshot,
        "cordon": timing.cordon,
        "drain": timing.drain,
        "install": timing.install,
        "patch": timing.install,
        "reboot": timing.reboot,
        "upgrade": timing.install + timing.reboot,
        "back": timing.reboot,
        "verify": timing.verify,
        "uncordon": timing.uncordon,
        "soak": timing.soak_deadline,
    }[step]


def following(kind: HopKind, step: str) -> str:
    """The step after `step` on this route; the first one for an empty `step`; empty at the end."""
    route = ROUTES[kind]
    index = route.index(step) + 1 if step else 0
    return route[index] if index < len(route) else ""
