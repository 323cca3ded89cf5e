"""What must hold before a cluster is begun: checked when it is planned and again at its start. Pure."""

from dataclasses import dataclass

MAX_SKEW = 5.0  # seconds between a node's clock and ours
MIN_CERTIFICATE = 14 * 86400.0
IMAGE_ROOM = 2  # times the image's size


@dataclass(frozen=True, slots=True)
class Readiness:
    """What was just read of one cluster. None = could not be read, which is never good enough, but for a way
    back: it installs nothing, and what is to be mended may be what gives no answer.
    """

    free_bytes: int | None  # on the fullest node
    image_bytes: int
    skew_seconds: float | None  # of the worst node
    certificate_seconds: float | None  # until the first one ends
    other_rollout: str = ""
    drain_problem: str = ""  # of a dry run
    remedy: bool = False


def problems(ready: Readiness) -> tuple[str, ...]:
    """Why the cluster must not be begun; empty = it may."""
    found: list[str] = []
    if not ready.remedy:
        _least(found, "free disk space", ready.free_bytes, IMAGE_ROOM * ready.image_bytes, "bytes")
        _most(found, "a node's clock is off", ready.skew_seconds, MAX_SKEW)
        _least(found, "a certificate's rest", ready.certificate_seconds, MIN_CERTIFICATE, "s")
    if ready.other_rollout:
        found.append(f"rollout {ready.other_rollout} is under way at its site")
    if ready.drain_problem:
        found.append(f"a drain would not finish: {ready.drain_problem}")
    return tuple(found)


def _least(found: list[str], what: str, value: float | None, least: float, unit: str) -> None:
    if value is None:
        found.append(f"{what}: could not be read")
    elif value < least:
        found.append(f"{what}: {value:.0f} {unit}, needed {least:.0f}")


def _most(found: list[str], what: str, value: float | None, most: float) -> None:
    if value is None:
        found.append(f"{what}: could not be read")
    elif abs(value) > most:
        found.append(f"{what}: {abs(value):.0f} s, allowed {most:.0f}")
