"""A publisher's release feed: makes its keys and its repository, signs releases into it. Serves nothing.

The repository is a folder that any web server or stick can carry. Root is signed by two of three keys; each
key is a file of its own, sealed by a passphrase, so that three people can keep one each. `targets` says what
may be installed and belongs offline too; `snapshot` and `timestamp` only say what is newest, and must be
signed again before they end.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from controller.app.publishing_folder import FeedFolder
from controller.app.publishing_keys import Keys
from controller.core.release import document
from controller.core.release.document import Artifact, Release
from inventory.errors import OperatorError

if TYPE_CHECKING:
    from tuf.api.metadata import Metadata

# How long each part is good. Air-gapped sites live from bundles, hence nothing of a day or a week.
LIVES: Mapping[str, timedelta] = {
    "root": timedelta(days=400),
    "targets": timedelta(days=180),
    "snapshot": timedelta(days=60),
    "timestamp": timedelta(days=60),
}
ROOT_KEYS, ROOT_THRESHOLD = 3, 2
_DATES = ("snapshot", "timestamp")  # they say what is newest
_BELOW_ROOT = ("targets", *_DATES)


def init(path: Path, keys: Keys, now: datetime) -> Path:
    """An empty feed with fresh keys; returns the root metadata that customers trust."""
    from tuf.api.metadata import Metadata, Root, Snapshot, Targets, Timestamp

    if any(keys.files(role) for role in LIVES):
        raise OperatorError(
            "there are keys in this folder already", where=str(keys.folder), fix="name a new one"
        )
    folder = FeedFolder(path)
    folder.create()
    root = Root(version=1, expires=_end("root", now), consistent_snapshot=True)
    signers = {
        "root": [keys.make("root") for _ in range(ROOT_KEYS)],
        **{role: [keys.make(role)] for role in _BELOW_ROOT},
    }
    for role, made in signers.items():
        for signer in made:
            root.add_key(signer.public_key, role)
    root.roles["root"].threshold = ROOT_THRESHOLD
    trusted = folder.write(Metadata(root), signers["root"])
    for signed in (Targets(version=1), Snapshot(version=1), Timestamp(version=1)):
        signed.expires = _end(signed.type, now)
        folder.write(Metadata(signed), signers[signed.type])
    return trusted


def add(
    path: Path, keys: Keys, channel: str, release: Release, files: Mapping[str, Path], now: datetime
) -> str:
    """Signs a release and its files (target name → file) into a channel; returns the release's target."""
    folder = FeedFolder(path)
    targets = folder.newest("targets")
    highest = _highest(folder, targets, channel)
    if release.counter <= highest:
        raise OperatorError(
            f"counter {release.counter} is not above {highest}, which this channel has already",
            fix=f"take {highest + 1}, or leave it out",
        )
    if set(files) != {each.target for each in release.artifacts}:
        raise OperatorError(
            "the release and the files given do not belong together", fix="name each file once"
        )
    signers = _signers(folder, keys, _BELOW_ROOT)
    for name, file in files.items():
        with file.open("rb") as opened:
            folder.put(targets, name, opened.read)
    target = document.target_of(channel, release)
    folder.put(targets, target, io.BytesIO(release.to_bytes()).read)
    _sign(folder, signers, targets, now)
    return target


def next_counter(path: Path, channel: str) -> int:
    folder = FeedFolder(path)
    return _highest(folder, folder.newest("targets"), channel) + 1


def renew(path: Path, keys: Keys, now: datetime) -> tuple[str, datetime]:
    """Signs the dates anew, those of targets too if its key is here; what may be installed stays as it is.
    Returns which part of the feed ends first, and when.
    """
    folder = FeedFolder(path)
    roles = _BELOW_ROOT if keys.files("targets") else _DATES
    _sign(folder, _signers(folder, keys, roles), folder.newest("targets"), now)
    end, role = min((folder.newest(role).signed.expires, role) for role in LIVES)
    return role, end


@dataclass(frozen=True, slots=True)
class Rooted:
    """A new root. While signatures of root keys are `missing`, it is a draft that no client sees. `renewed`:
    whether the other roles were signed anew with it, as they must be.
    """

    path: Path
    missing: int
    renewed: bool


def rotate(path: Path, keys: Keys, role: str, now: datetime, *, lost: str = "") -> Rooted:
    """One fresh key for `role` instead of the one whose id begins with `lost`, or else of its oldest."""
    folder = FeedFolder(path)
    if role not in LIVES:
        raise OperatorError(f"there is no role {role!r}", fix=f"name one of {', '.join(LIVES)}")
    if folder.draft.exists():
        raise OperatorError(
            "a root waits for signatures already",
            where=str(folder.draft),
            fix="cto vendor release cosign, or remove that file to give it up",
        )
    metadata = folder.newest("root")
    root = metadata.signed
    going = [key for key in root.roles[role].keyids if key.startswith(lost)]
    if not going or (lost and len(going) > 1):
        names = ", ".join(key[:16] for key in root.roles[role].keyids)
        raise OperatorError(f"{role} has no single key {lost!r}", fix=f"its keys are {names}")
    signers = keys.signers("root")
    fresh = keys.make(role)
    root.revoke_key(going[0], role)
    root.add_key(fresh.public_key, role)
    root.version, root.expires = root.version + 1, _end("root", now)
    metadata.signatures.clear()
    return _root_signed(folder, keys, metadata, [*signers, *([fresh] if role == "root" else [])], now)


def cosign(path: Path, keys: Keys, now: datetime) -> Rooted:
    """Adds the signatures of this folder's root keys to the draft of a root."""
    folder = FeedFolder(path)
    if not folder.draft.is_file():
        raise OperatorError(
            "no root waits for signatures", where=str(path), fix="see cto vendor release rotate"
        )
    return _root_signed(folder, keys, folder.load(folder.draft), keys.signers("root"), now)


def _root_signed(
    folder: FeedFolder, keys: Keys, metadata: "Metadata[Any]", signers: Sequence[Any], now: datetime
) -> Rooted:
    """A root is signed by enough of the old root's keys and of its own (TUF specification, section 6.1)."""
    before, root = folder.newest("root").signed, metadata.signed
    for signer in signers:
        if signer.public_key.keyid in {*before.roles["root"].keyids, *root.roles["root"].keyids}:
            metadata.sign(signer, append=True)
    results = [
        each.get_verification_result("root", metadata.signed_bytes, metadata.signatures)
        for each in (before, root)
    ]
    missing = max(0, *(result.threshold - len(result.signed) for result in results))
    if missing:
        return Rooted(folder.replace(folder.draft, metadata.to_bytes()), missing, renewed=False)
    made = folder.replace(folder.path / "metadata" / f"{root.version}.root.json", metadata.to_bytes())
    folder.draft.unlink(missing_ok=True)
    found = {role: _of_role(root, keys, role) for role in _BELOW_ROOT}
    renewed = all(found.values())
    if renewed:
        _sign(folder, found, folder.newest("targets"), now)
    return Rooted(made, 0, renewed)


def _sign(
    folder: FeedFolder, signers: Mapping[str, list[Any]], targets: "Metadata[Any]", now: datetime
) -> None:
    """Targets (if it has signers), snapshot, timestamp: a client that comes between sees the old feed."""
    from tuf.api.metadata import MetaFile

    snapshot, timestamp = folder.newest("snapshot"), folder.newest("timestamp")
    if "targets" in signers:
        _again(folder, targets, signers, now)
        snapshot.signed.meta["targets.json"] = MetaFile(targets.signed.version)
    _again(folder, snapshot, signers, now)
    timestamp.signed.snapshot_meta = MetaFile(snapshot.signed.version)
    _again(folder, timestamp, signers, now)


def _again(
    folder: FeedFolder, metadata: "Metadata[Any]", signers: Mapping[str, list[Any]], now: datetime
) -> None:
    role = metadata.signed.type
    metadata.signed.version += 1
    metadata.signed.expires = _end(role, now)
    folder.write(metadata, signers[role])


def _signers(folder: FeedFolder, keys: Keys, roles: Sequence[str]) -> dict[str, list[Any]]:
    """Opened before anything is written, so that a missing key leaves the feed as it was."""
    root = folder.newest("root").signed
    found = {role: _of_role(root, keys, role) for role in roles}
    for role, signers in found.items():
        if not signers:
            raise OperatorError(
                f"the folder does not hold the key of {role}",
                where=str(keys.folder),
                fix="name the folder that does with --keys",
            )
    return found


def _of_role(root: Any, keys: Keys, role: str) -> list[Any]:
    """Those of the folder's keys that root still names; rotated ones stay as files. Empty if too few."""
    found = [each for each in keys.signers(role) if each.public_key.keyid in root.roles[role].keyids]
    return found if len(found) >= root.roles[role].threshold else []


def _highest(folder: FeedFolder, targets: "Metadata[Any]", channel: str) -> int:
    return max((each.counter for each in folder.releases(targets, channel)), default=0)


def _end(role: str, now: datetime) -> datetime:
    return (now + LIVES[role]).replace(microsecond=0)


def describe(
    kind: str,
    version: str,
    counter: int,
    floor: int,
    upgrades: Sequence[str],
    notes: str,
    artifacts: Sequence[Artifact],
) -> Release:
    """A release from what a publisher typed; checked as a client would."""
    body = {
        "format": document.FORMAT,
        "kind": kind,
        "version": version,
        "counter": counter,
        "floor": floor,
        "upgrades": list(upgrades),
        "notes": notes,
        "artifacts": [{"target": each.target, "url": each.url, "what": each.what} for each in artifacts],
    }
    return document.parse(json.dumps(body).encode(), f"{kind}-{version}")
