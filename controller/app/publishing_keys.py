"""A publisher's signing keys as files of one folder, `ROLE-NUMBER.key`. Knows not what is signed."""

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from controller.app import vendor_key
from inventory.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Keys:
    """Opened as they are needed: each asks for its passphrase."""

    folder: Path
    passphrase: Callable[[str], str]  # by the key's name

    def files(self, role: str) -> list[Path]:
        return sorted(self.folder.glob(f"{role}-*.key"))

    def signers(self, role: str) -> list[Any]:
        """All keys of a role that lie in this folder."""
        return [self._open(path) for path in self.files(role)]

    def make(self, role: str) -> Any:
        """One more key of `role`, numbered on."""
        seed = secrets.token_bytes(32)
        taken = [int(n) for path in self.files(role) if (n := path.stem.rpartition("-")[2]).isdecimal()]
        path = self.folder / f"{role}-{max(taken, default=0) + 1}.key"
        sealed = vendor_key.seal(seed, self.passphrase(path.stem))
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(sealed)
        return signer(seed)

    def _open(self, path: Path) -> Any:
        try:
            text = path.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            fix = "name the folder that cto vendor release init wrote"
            raise OperatorError("this is not a publisher's key", where=str(path), fix=fix) from error
        return signer(vendor_key.unseal(text, self.passphrase(path.stem), where=str(path)))


def signer(seed: bytes) -> Any:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from securesystemslib.signer import CryptoSigner

    return CryptoSigner(Ed25519PrivateKey.from_private_bytes(seed))
