"""The public half of the TPM's endorsement key, by tpm2-tools. A claim like a serial number, not a proof.

Total: a machine without a TPM, without the tools or with one that hangs simply does not say it.
"""

import hashlib
import subprocess
import tempfile
from pathlib import Path

DEVICE = "dev/tpmrm0"
_SECONDS = 30.0  # hardware makes the key anew from its seed, which takes a while


def endorsement_key(folder: Path) -> str:
    """SHA-256 of its SPKI, hex; empty if there is none. `folder`: where a file may be for a moment."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        public = Path(scratch) / "ek.der"
        command = ["tpm2_createek", "-G", "rsa", "-c", f"{scratch}/ek.ctx", "-f", "der", "-u", str(public)]
        try:
            subprocess.run(command, check=True, capture_output=True, timeout=_SECONDS)
            return hashlib.sha256(public.read_bytes()).hexdigest()
        except (OSError, subprocess.SubprocessError):
            return ""
