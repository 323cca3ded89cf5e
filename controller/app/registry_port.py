"""What the use cases need of a container registry: to put an image into it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from controller.core.release.oci import Part, Reference


@dataclass(frozen=True, slots=True)
class File:
    """A part of an image, and where its bytes are."""

    part: Part
    path: Path


class Registries(Protocol):
    def push(self, url: str, name: Reference, files: Sequence[File]) -> int:
        """`files` in order, the last of which gets the tag; returns how many bytes were sent. What is there
        already is not sent again. Raises TransportError, RefusedError.
        """
        ...
