"""New files for what a command gives out. Never over a file that is there; nobody else may read them."""

import os
from pathlib import Path
from typing import BinaryIO

from inventory.errors import OperatorError


def new_file(path: Path) -> BinaryIO:
    """Open for writing, 0600. Raises OperatorError if there is such a file, or none can be made."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise OperatorError(
            "there is such a file already", where=str(path), fix="name another, or remove it first"
        ) from None
    except OSError as error:
        raise OperatorError(
            f"can't be written: {error.strerror}", where=str(path), fix="name another place"
        ) from error
    return os.fdopen(descriptor, "wb")
