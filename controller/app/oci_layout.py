"""A container image as a folder (OCI image layout) becomes files of a release. Pushes nothing."""

from dataclasses import dataclass
from pathlib import Path

from controller.app.plain_files import open_plain, whole
from controller.core.release import oci
from controller.core.release.document import Artifact
from inventory.errors import OperatorError

_FIX = "name a folder that was written with `skopeo copy … oci:DIR:TAG`, say"


@dataclass(frozen=True, slots=True)
class Layout:
    folder: Path

    def artifacts(self, name: str) -> dict[Artifact, Path]:
        """Every part of its one image. `name`: what it is called; else the layout must say."""
        top, called = self._top()
        reference = oci.Reference.parse(name or called)
        found = oci.parts(top, self._read)
        return {
            oci.artifact(part, reference if part is found[-1] else None): self._blob(part) for part in found
        }

    def _top(self) -> tuple[oci.Part, str]:
        found = oci.tops(self._bytes("index.json"), str(self.folder / "index.json"))
        if len(found) != 1:
            raise OperatorError(f"it holds {len(found)} images, not one", where=str(self.folder), fix=_FIX)
        return found[0]

    def _read(self, part: oci.Part) -> bytes:
        return self._bytes(f"blobs/sha256/{part.sha256}")

    def _bytes(self, name: str) -> bytes:
        try:
            with open_plain(self.folder, name) as file:
                return file.read(oci.MAX_MANIFEST + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            what = f"there is no {name} in it: this is no OCI image layout, or not all of one"
            raise OperatorError(what, where=str(self.folder), fix=_FIX) from error

    def _blob(self, part: oci.Part) -> Path:
        path = self.folder / "blobs" / "sha256" / part.sha256
        if not whole(path, part.sha256, part.size):
            what = f"{part.sha256} is missing, or not what its name says"
            raise OperatorError(what, where=str(self.folder), fix=_FIX)
        return path
