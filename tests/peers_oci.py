"""A container image as a folder (OCI image layout), made of a few bytes that are different for each seed."""

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG, _LAYER = "application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar"


@dataclass
class Image:
    folder: Path
    top: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)

    @classmethod
    def write(cls, folder: Path, *, platforms: int = 1, seed: int = 1) -> "Image":
        """One platform: a manifest; more: an index of manifests that share a layer."""
        made, rest = cls(folder), random.Random(seed)
        (folder / "blobs" / "sha256").mkdir(parents=True)
        shared = made._put(_LAYER, rest.randbytes(5000))
        found = []
        for number in range(platforms):
            config = made._put(_CONFIG, json.dumps({"os": "linux", "number": number}).encode())
            layers = [shared, made._put(_LAYER, rest.randbytes(3000))]
            made.layers += [each["digest"][7:] for each in layers]
            body = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
            found.append(made._put(MANIFEST, json.dumps(body).encode()))
        top = found[0]
        if platforms > 1:
            body = {"schemaVersion": 2, "mediaType": INDEX, "manifests": found}
            top = made._put(INDEX, json.dumps(body).encode())
        made.top = top["digest"][7:]
        named = {**top, "annotations": {"org.opencontainers.image.ref.name": "3.10"}}
        (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return made

    def _put(self, kind: str, data: bytes) -> dict:
        digest = hashlib.sha256(data).hexdigest()
        self.blobs[digest] = data
        (self.folder / "blobs" / "sha256" / digest).write_bytes(data)
        return {"mediaType": kind, "digest": f"sha256:{digest}", "size": len(data)}
