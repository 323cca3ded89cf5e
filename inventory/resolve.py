"""Site files → the effective fleet. The one entry point is `load_files`: it takes texts, touches no disk, and
either returns a fleet that is consistent or raises SiteFileError with every problem that it found.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, TypeVar

from inventory.calendar import Blackout, MaintenanceWindow, UpdatePolicy
from inventory.crosscheck import crosscheck
from inventory.declared import Declared, Documents, Problems, read
from inventory.documents import blackout, maintenance_window, update_policy
from inventory.effective import Effective
from inventory.errors import OperatorError, Problem
from inventory.expand import BUILT_IN, expand
from inventory.findings import suggest
from inventory.fitting import needed_minutes, unfit_sites
from inventory.fleet import Fleet
from inventory.model import SiteSelector
from inventory.overlay import ACCUMULATE, Origin, find_path

S = TypeVar(
    "S", bound="maintenance_window.MaintenanceWindow | blackout.Blackout | update_policy.UpdatePolicy"
)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The fleet, its calendar, and where each value came from."""

    fleet: Fleet
    windows: tuple[MaintenanceWindow, ...]
    blackouts: tuple[Blackout, ...]
    policies: tuple[UpdatePolicy, ...]
    warnings: tuple[Problem, ...]
    _effective: Effective = field(repr=False, compare=False)

    def effective(self) -> dict[str, Any]:
        """What the site files come to, as one plain document."""
        return {
            "organization": self.fleet.organization,
            **self._effective.trees(),
            "maintenanceWindows": {window.name: _plain(window) for window in self.windows},
            "blackouts": {blackout.name: _plain(blackout) for blackout in self.blackouts},
            "updatePolicies": {policy.name: _plain(policy) for policy in self.policies},
        }

    def explain(self, path: str) -> tuple[Origin, ...]:
        """Which layers set `nodes/NAME/disk.wipe` (or `clusters/…`, `sites/…`); the last one is what holds.

        Raises OperatorError for a path that the effective document does not have.
        """
        group, _, rest = path.partition("/")
        name, _, dotted = rest.partition("/")
        trees = self._effective.trees()
        if group not in trees:
            raise OperatorError(f"{path!r} is not a path", fix="begin it with nodes/, clusters/ or sites/")
        if name not in trees[group]:
            fix = suggest(name, list(trees[group]), group.removesuffix("s"))
            raise OperatorError(f"there is no {group}/{name}", fix=fix)
        keys = find_path(trees[group][name], dotted)
        stack = self._effective.stacks[group][name]
        if keys is None:
            raise OperatorError(f"{group}/{name} has no {dotted!r}", fix=_near(trees[group][name], dotted))
        return stack.explain(keys) or (Origin(BUILT_IN, None),)

    def patches(self, node: str) -> tuple[Origin, ...]:
        """A node's patches in the order in which they apply, each with the layer and line that says it."""
        found: list[Origin] = []
        for layer in self._effective.stacks["nodes"][node].layers:
            said = layer.get((ACCUMULATE,))
            if said is None:  # null: what lies below is dropped
                found.clear()
            elif isinstance(said, list):
                found += [layer.origin((ACCUMULATE, at), patch) for at, patch in enumerate(said)]
        return tuple(found)


def load_files(texts: Mapping[str, str]) -> Resolved:
    """File name → text, to the effective fleet. Raises SiteFileError."""
    return _loaded(tuple(texts.items()))


@lru_cache(maxsize=1)  # a plan, the run that it becomes and its execution read the same texts in one process
def _loaded(texts: tuple[tuple[str, str], ...]) -> Resolved:
    return resolve(read(dict(texts)))


def resolve(documents: Documents) -> Resolved:
    """Checked documents to the effective fleet. Raises SiteFileError."""
    problems, warnings = Problems(), Problems()
    stacks = expand(documents, problems, warnings)
    problems.raise_if_any()
    effective = Effective(stacks, problems)
    problems.raise_if_any()
    crosscheck(effective, problems, warnings)
    windows = tuple(_about(documents, maintenance_window.MaintenanceWindow, effective, problems))
    blackouts = tuple(_about(documents, blackout.Blackout, effective, problems))
    policies = tuple(_about(documents, update_policy.UpdatePolicy, effective, problems))
    window_values = tuple(item.model.value(sites) for item, sites in windows)
    _must_fit(policies, window_values, problems)
    problems.raise_if_any()
    return Resolved(
        fleet=effective.fleet(),
        windows=window_values,
        blackouts=tuple(item.model.value(sites) for item, sites in blackouts),
        policies=tuple(item.model.value(sites) for item, sites in policies),
        warnings=warnings.report(),
        _effective=effective,
    )


def _about(
    documents: Documents, kind: type[S], effective: Effective, problems: Problems
) -> Iterator[tuple[Declared[S], tuple[str, ...]]]:
    """The documents of a kind, each with the sites that it is about."""
    for item in documents.of(kind):
        chosen = item.model.spec.applies_to or SiteSelector()
        for index, name in enumerate(chosen.sites or ()):
            if name not in effective.sites:
                fix = suggest(name, list(effective.sites), "site")
                problems.note(
                    item.source, ("spec", "appliesTo", "sites", index), f"there is no Site {name!r}", fix
                )
        sites = tuple(name for name in effective.sites if _matches(chosen, name, effective))
        if not sites and all(name in effective.sites for name in chosen.sites or ()):
            what = f"{kind.__name__} {item.name!r} selects no site"
            path = ("spec", "appliesTo", "labels" if chosen.labels else "sites")
            problems.note(item.source, path, what, "check the labels in the metadata of the sites")
        yield item, sites


def _must_fit(
    policies: Iterable[tuple[Declared[update_policy.UpdatePolicy], tuple[str, ...]]],
    windows: Iterable[MaintenanceWindow],
    problems: Problems,
) -> None:
    """A policy whose work fits into no window is refused now, and not in the night when it would wait."""
    for item, sites in policies:
        policy = item.model.value(sites)
        needed = needed_minutes(policy)
        for site, longest in unfit_sites(policy, windows):
            what = (
                f"one node needs {needed} minutes (expectedDuration and a quarter, rollbackReserve); the "
                f"longest window of site {site} has {longest}, of which up to a tenth passes first"
            )
            fix = f"give site {site} a window of at least {needed + 10} minutes, or expect less"
            problems.note(item.source, ("spec",), what, fix)


def _matches(chosen: SiteSelector, site: str, effective: Effective) -> bool:
    labels = effective.sites[site]["labels"]
    return (chosen.sites is None or site in chosen.sites) and all(
        labels.get(key) == value for key, value in (chosen.labels or {}).items()
    )


def _near(tree: Mapping[str, Any], dotted: str) -> str:
    known = list(_dotted(tree))
    close = get_close_matches(dotted, known, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"it has: {', '.join(tree)}"


def _dotted(tree: Mapping[str, Any], before: str = "") -> Iterator[str]:
    for key, value in tree.items():
        yield before + key
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{before}{key}.")


def _plain(value: MaintenanceWindow | Blackout | UpdatePolicy) -> dict[str, Any]:
    """As the trees are: camelCase keys, lists, nothing that is empty."""
    said = ((_camel(name), part) for name, part in asdict(value).items() if name != "name" and part != "")
    return {name: list(part) if isinstance(part, tuple) else part for name, part in said}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
