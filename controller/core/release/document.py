"""A release as its publisher describes it: one JSON document, a signed target of the feed. Fetches nothing.

The feed (TUF) vouches for the bytes. What is in them is checked here all the same: a publisher makes
mistakes, and a field that a newer program writes must not be passed over by an older one.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from inventory.errors import OperatorError

Kind = Literal["talos", "kubernetes", "platform"]
CHANNELS = ("stable", "beta", "edge")
FORMAT = "cto-release/v1"
MAX_BYTES = 256 * 1024
FOLDER = "releases"
_FIELDS = {"format", "kind", "version", "counter", "floor", "upgrades", "notes", "artifacts"}
_VERSION = re.compile(r"\d{1,4}\.\d{1,4}\.\d{1,4}(-[0-9a-z.]{1,20})?", re.ASCII)
_MINOR = re.compile(r"\d{1,4}\.\d{1,4}", re.ASCII)
_TARGET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){0,7}", re.ASCII)
_MOST_ARTIFACTS, _MOST_UPGRADES, _MOST_NOTES, _MOST_COUNTER = 512, 64, 16_000, 2**31


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of a release. `target`: its name in the feed. `url`: what it stands for, so that an image
    that is staged is found by the machines' image URL; empty for others. `what`: "oci" for a part of a
    container image, "oci REPOSITORY:TAG" for the part that this name stands for.
    """

    target: str
    url: str = ""
    what: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """`counter` grows with every release of a channel; releases below the channel's highest `floor` must
    not be installed any more. `upgrades`: the minor versions from which it can be reached in one step.
    """

    kind: Kind
    version: str
    counter: int
    floor: int
    upgrades: tuple[str, ...]
    notes: str = ""
    artifacts: tuple[Artifact, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.version}"

    def to_bytes(self) -> bytes:
        body = {"format": FORMAT, **asdict(self)}
        return (json.dumps(body, ensure_ascii=False, indent=1) + "\n").encode()


def target_of(channel: str, release: Release) -> str:
    return f"{FOLDER}/{channel}/{release.name}.json"


def channel_of(target: str) -> str:
    """The channel that a target of this name is a release of; empty if it is none."""
    parts = target.split("/")
    return parts[1] if len(parts) == 3 and parts[0] == FOLDER and target.endswith(".json") else ""


def parse(data: bytes, where: str) -> Release:
    """Raises OperatorError naming the field."""
    if len(data) > MAX_BYTES:
        raise _wrong(where, f"longer than {MAX_BYTES} bytes")
    try:
        body = json.loads(data, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise _wrong(where, f"not JSON ({error})") from error
    if not isinstance(body, dict) or set(body) != _FIELDS or body["format"] != FORMAT:
        raise _wrong(where, f"not of the format {FORMAT}; a newer cto may be needed")
    kind, version = body["kind"], body["version"]
    _must(kind in get_args(Kind), where, "kind", kind)
    _must(isinstance(version, str) and _VERSION.fullmatch(version) is not None, where, "version", version)
    for name in ("counter", "floor"):
        value = body[name]
        _must(type(value) is int and 0 <= value < _MOST_COUNTER, where, name, value)
    upgrades, notes = body["upgrades"], body["notes"]
    fine = isinstance(upgrades, list) and all(isinstance(m, str) and _MINOR.fullmatch(m) for m in upgrades)
    _must(fine and len(upgrades) <= _MOST_UPGRADES, where, "upgrades", upgrades)
    _must(isinstance(notes, str) and len(notes) <= _MOST_NOTES, where, "notes", notes)
    _must(body["floor"] <= body["counter"], where, "floor", body["floor"])
    return Release(
        kind,
        version,
        body["counter"],
        body["floor"],
        tuple(upgrades),
        notes,
        _artifacts(body["artifacts"], where),
    )


def _artifacts(found: object, where: str) -> tuple[Artifact, ...]:
    _must(isinstance(found, list) and len(found) <= _MOST_ARTIFACTS, where, "artifacts", found)
    made = []
    for each in found if isinstance(found, list) else ():
        fine = isinstance(each, dict) and set(each) == {"target", "url", "what"}
        _must(
            fine and all(isinstance(v, str) and len(v) <= 500 for v in each.values()),
            where,
            "artifacts",
            each,
        )
        _must(_TARGET.fullmatch(each["target"]) is not None, where, "artifacts.target", each["target"])
        _must(each["url"] == "" or each["url"].startswith("https://"), where, "artifacts.url", each["url"])
        made.append(Artifact(**each))
    for name in ("target", "url"):
        values = [value for each in made if (value := getattr(each, name))]
        _must(len(values) == len(set(values)), where, f"artifacts.{name}", "the same twice")
    return tuple(made)


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Two readers of one name twice would see two things."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _must(fine: bool, where: str, field: str, value: object) -> None:
    if not fine:
        raise _wrong(where, f"{field} can't be {value!r:.80}")


def _wrong(where: str, why: str) -> OperatorError:
    return OperatorError(
        f"this description of a release can't be used: {why}", where=where, fix="tell its publisher"
    )


def current(releases: Sequence[Release], floor: int = 0) -> tuple[Release, ...]:
    """Those that may still be installed, newest first: not below the highest floor that is in force.
    `floor`: the highest that was ever seen in this channel.
    """
    floor = max([floor, *(release.floor for release in releases)])
    allowed = [release for release in releases if release.counter >= floor]
    return tuple(sorted(allowed, key=lambda release: release.counter, reverse=True))
