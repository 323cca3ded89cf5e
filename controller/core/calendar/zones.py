"""Time zones from the `tzdata` package that is installed with us, never from the machine's own files.

Two controllers of one version agree on every instant, whatever /usr/share/zoneinfo holds. A zone that the
database no longer has is an error that says so, and never a guess.
"""

from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

from inventory.errors import OperatorError


class UnknownZoneError(OperatorError):
    """The zone is not in the database: nothing can be said about local times there."""

    slug = "unknown-zone"


@cache
def zone(name: str) -> ZoneInfo:
    """The rules of an IANA zone. Raises UnknownZoneError."""
    if name not in _names():
        raise UnknownZoneError(
            f"the time zone database has no zone {name!r}",
            fix="write the zone's present name as `timezone:` in the site file",
        )
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)


@cache
def _names() -> frozenset[str]:
    return frozenset((files("tzdata") / "zones").read_text(encoding="ascii").split())


def database_version() -> str:
    """As the package counts: year and number, "2026.6"."""
    from importlib.metadata import version

    return version("tzdata")
