"""A publisher's feed that a test can bend: real TUF metadata, signed by real keys, written as plain files.

Knows nothing of our own publisher, so that both can be wrong only independently.
"""

import copy
import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp

ROLES = ("root", "timestamp", "snapshot", "targets")


def key() -> CryptoSigner:
    return CryptoSigner.generate_ed25519()


class Feed:
    """`publish` writes the next version of everything; the attributes are there to be bent before."""

    def __init__(self, folder: Path, root_keys: int = 3, threshold: int = 2) -> None:
        self.folder = folder
        later = (datetime.now(UTC) + timedelta(days=90)).replace(microsecond=0)
        self.signers = {role: [key() for _ in range(root_keys if role == "root" else 1)] for role in ROLES}
        self.root = Root(version=1, expires=later, consistent_snapshot=True)
        for role, signers in self.signers.items():
            for signer in signers:
                self.root.add_key(signer.public_key, role)
        self.root.roles["root"].threshold = threshold
        self.targets, self.snapshot = Targets(expires=later), Snapshot(expires=later)
        self.timestamp = Timestamp(expires=later)
        for signed in (self.targets, self.snapshot, self.timestamp):
            signed.version = 0  # of the first that is published: 1
        self.write("root")

    def copy(self, folder: Path) -> "Feed":
        """The same publisher, whose next steps go elsewhere."""
        made = copy.copy(self)
        made.folder, made.signers = folder, {role: list(found) for role, found in self.signers.items()}
        for role in ROLES:
            setattr(made, role, copy.deepcopy(getattr(self, role)))
        return made

    # --- what it offers ---

    def add(self, name: str, data: bytes) -> str:
        """A target; its SHA-256."""
        digest = hashlib.sha256(data).hexdigest()
        path = self.file(name, digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        self.targets.targets[name] = TargetFile(len(data), {"sha256": digest}, name)
        return digest

    def file(self, name: str, digest: str = "") -> Path:
        place, _, base = name.rpartition("/")
        return (
            self.folder
            / "targets"
            / place
            / f"{digest or self.targets.targets[name].hashes['sha256']}.{base}"
        )

    def release(
        self, version: str, counter: int, channel: str = "stable", files: Any = (), **changes: Any
    ) -> str:
        """`files`: name → (bytes, url)."""
        artifacts = []
        for name, (data, url) in dict(files).items():
            target = f"files/talos-{version}/{name}"
            self.add(target, data)
            artifacts.append({"target": target, "url": url, "what": ""})
        body = {
            "format": "cto-release/v1", "kind": "talos", "version": version, "counter": counter, "floor": 0,
            "upgrades": [], "notes": "", "artifacts": artifacts, **changes,
        }  # fmt: skip
        target = f"releases/{channel}/talos-{version}.json"
        self.add(target, json.dumps(body).encode())
        return target

    # --- writing it ---

    def publish(self) -> None:
        self.targets.version += 1
        self.snapshot.version += 1
        self.timestamp.version += 1
        self.link()
        for role in ("targets", "snapshot", "timestamp"):
            self.write(role)

    def link(self) -> None:
        self.snapshot.meta["targets.json"] = MetaFile(self.targets.version)
        self.timestamp.snapshot_meta = MetaFile(self.snapshot.version)

    def new_root(self, *by: CryptoSigner) -> None:
        """The next root, signed by `by` or else by all its own keys and those it had."""
        self.root.version += 1
        self.write("root", *by)

    def exchange(self, *roles: str) -> None:
        """Fresh keys for roles other than root; the next root says so."""
        for role in roles:
            for signer in self.signers[role]:
                self.root.revoke_key(signer.public_key.keyid, role)
            self.signers[role] = [key()]
            self.root.add_key(self.signers[role][0].public_key, role)
        self.new_root()

    def write(self, role: str, *by: CryptoSigner) -> Path:
        path = self.path(role)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.signed(role, *by))
        return path

    def signed(self, role: str, *by: CryptoSigner) -> bytes:
        metadata = Metadata(getattr(self, role))
        for signer in by or self.signers[role]:
            metadata.sign(signer, append=True)
        return metadata.to_bytes()

    def path(self, role: str) -> Path:
        signed = getattr(self, role)
        name = "timestamp.json" if role == "timestamp" else f"{signed.version}.{role}.json"
        return self.folder / "metadata" / name

    @property
    def first_root(self) -> Path:
        return self.folder / "metadata" / "1.root.json"
