"""Reads an update policy. What is absent or can't be read makes the rollout invalid, never unlimited."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from controller.core.rollout.model import Policy, Timing
from inventory.calendar import UpdatePolicy
from inventory.errors import RefusedError

_APPROVALS = ("none", "first-wave", "each-wave")


def of(policy: UpdatePolicy | None, **more: Any) -> Policy:
    """The policy of a site file; `more` are settings that come from elsewhere (accept_downtime, timing…)."""
    if policy is None:
        raise RefusedError(
            "no update policy applies, and without one there is no limit to failures",
            fix="write one: kind: UpdatePolicy (an empty spec gives the defaults)",
        )
    timing = {"expected": policy.expected_minutes * 60, **policy.timing}
    bake = timing.pop("bake", None)  # seconds, for labs: a site file's bakes are whole minutes
    return parse(
        {
            "waves_percent": list(policy.waves_percent),
            "wave_counts": list(policy.wave_counts),
            "waves_by_site": policy.waves_by_site,
            "bake_seconds": [int(bake)] if bake else [minutes * 60 for minutes in policy.bake_minutes],
            "max_fail_percent": policy.max_failures_percent,
            "max_fail_clusters": policy.max_failures,
            "max_unavailable": policy.max_unavailable,
            "max_unavailable_percent": policy.max_unavailable_percent,
            "approval": policy.approval,
            "accept_downtime": policy.accept_downtime,
            "force_drain": policy.force_drain,
            "max_parallel": policy.max_parallel,
            "timing": timing,
            **more,
        },
        where=policy.name,
    )


def parse(values: Mapping[str, Any] | None, *, where: str = "policy") -> Policy:
    """Checks every value. Unknown names are refused: a misspelt limit would be no limit."""
    if not isinstance(values, Mapping):
        raise _bad(where, "there is no policy", "give one, with max_fail_percent at least")
    known = {f.name for f in fields(Policy)}
    strange = sorted(set(values) - known)
    if strange:
        raise _bad(where, f"unknown setting {strange[0]!r}", f"known: {', '.join(sorted(known))}")
    if "max_fail_percent" not in values:
        raise _bad(where, "max_fail_percent is missing", "say how many percent of a wave may fail, 0 to 100")
    default = Policy()
    waves = _numbers(where, values, "waves_percent", default.waves_percent, 1, 100)
    if list(waves) != sorted(set(waves)) or waves[-1] != 100:
        raise _bad(where, "waves_percent does not rise to 100", "cumulative, such as [1, 5, 25, 100]")
    approval = values.get("approval", default.approval)
    if approval not in _APPROVALS:
        raise _bad(where, f"approval {approval!r} is unknown", f"one of {', '.join(_APPROVALS)}")

    def number(name: str, low: int, high: int) -> int:
        return _number(where, name, values.get(name, getattr(default, name)), low, high)

    return Policy(
        waves_percent=waves,
        wave_counts=_numbers(where, values, "wave_counts", (), 1, 1_000_000),
        waves_by_site=_flag(where, values, "waves_by_site"),
        bake_seconds=_numbers(where, values, "bake_seconds", default.bake_seconds, 0, 31 * 86400),
        max_fail_percent=number("max_fail_percent", 0, 100),
        max_fail_clusters=number("max_fail_clusters", 0, 1_000_000),
        max_unavailable=number("max_unavailable", 1, 10_000),
        max_unavailable_percent=number("max_unavailable_percent", 0, 100),
        max_parallel=number("max_parallel", 1, 10_000),
        approval=approval,
        accept_downtime=_flag(where, values, "accept_downtime"),
        force_drain=_flag(where, values, "force_drain"),
        timing=_timing(where, values.get("timing", {})),
    )


def _timing(where: str, value: Any) -> Timing:
    if isinstance(value, Timing):
        return value
    if not isinstance(value, Mapping):
        raise _bad(where, "timing is not a mapping", "name: seconds, such as soak: 120")
    known = {f.name for f in fields(Timing)}
    for name, seconds in value.items():
        if name not in known:
            raise _bad(where, f"unknown time {name!r}", f"known: {', '.join(sorted(known))}")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < 1e8:
            raise _bad(where, f"{name} is {seconds!r}", "a positive number of seconds")
    return Timing(**{name: float(seconds) for name, seconds in value.items()})


def _number(where: str, name: str, value: Any, low: int, high: int) -> int:
    # bool is an int to Python, and a float or a text may round to another limit than the one meant.
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _bad(where, f"{name} is {value!r}", f"a whole number from {low} to {high}")
    return value


def _numbers(
    where: str, values: Mapping[str, Any], name: str, default: tuple[int, ...], low: int, high: int
) -> tuple[int, ...]:
    found = values.get(name, default)
    if not isinstance(found, list | tuple) or not (found or default == ()):
        raise _bad(where, f"{name} is {found!r}", "a list of at least one whole number")
    return tuple(_number(where, name, value, low, high) for value in found)


def _flag(where: str, values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name, False)
    if not isinstance(value, bool):
        raise _bad(where, f"{name} is {value!r}", "true or false")
    return value


def _bad(where: str, what: str, fix: str) -> RefusedError:
    return RefusedError(f"this policy can't be used: {what}", where=where, fix=fix)
