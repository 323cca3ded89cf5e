"""--site --cluster --node -l applied to nodes that are known. Reads nothing itself."""

from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from inventory.errors import OperatorError


class _Named(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def site(self) -> str: ...
    @property
    def cluster(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...


V = TypeVar("V", bound=_Named)


def pick(
    views: Sequence[V],
    sites: Sequence[str],
    clusters: Sequence[str],
    nodes: Sequence[str],
    labels: Sequence[str],
) -> list[V]:
    """The nodes that match; a name that is not known is an error, as everywhere."""
    for kind, wanted, known in (
        ("site", sites, {view.site for view in views}),
        ("cluster", clusters, {view.cluster for view in views}),
        ("node", nodes, {view.name for view in views}),
    ):
        for name in wanted:
            if name not in known:
                listed = ", ".join(sorted(item for item in known if item)[:10]) or "none yet"
                raise OperatorError(f"no {kind} {name!r} is known here", fix=f"known: {listed}")
    pairs = [label.partition("=") for label in labels]
    for key, sign, _ in pairs:
        if not (key and sign):
            raise OperatorError(
                f"{key!r} is not a label selector", fix="write key=value, such as -l region=eu"
            )
    return [
        view
        for view in views
        if (not sites or view.site in sites)
        and (not clusters or view.cluster in clusters)
        and (not nodes or view.name in nodes)
        and all(view.labels.get(key) == value for key, _, value in pairs)
    ]
