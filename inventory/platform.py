"""What a site file says of the platform inside Kubernetes: Cilium and Argo CD. Checks the shape only; which
objects come of it is `roles.platform`'s matter.
"""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

from inventory import values as v
from inventory.model import Model

_RELEASE = re.compile(r"(0|[1-9][0-9]{0,3})(\.(0|[1-9][0-9]{0,3})){2}(-[a-z]+\.?[0-9]{1,3})?")
_CONTAINER = re.compile(
    r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]{1,5})?(/[a-z0-9]([a-z0-9._-]*[a-z0-9])?)+"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?"
)
_HELM_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+|\[[0-9]{1,3}\])*")


def _release(value: str) -> str:
    plain = value.removeprefix("v")
    if not _RELEASE.fullmatch(plain):
        v.refuse(f"{v.quote(value)} is not a version", "write all three numbers, such as 1.18.2")
    if plain != value:
        v.refuse(f"{v.quote(value)} begins with a v", f"write {plain}")
    return value


def _container(value: str) -> str:
    """An image that stays the same one: by a tag of its own, a digest, or both."""
    if not _CONTAINER.fullmatch(value):
        fix = "write registry, name and tag, such as quay.io/cilium/cilium-cli:v0.18.7"
        v.refuse(f"{v.quote(value)} is not a container image", fix)
    name, _, digest = value.partition("@")
    tag = name.rpartition("/")[2].partition(":")[2]
    if not digest and tag in {"", "latest"}:
        fix = "write its tag (such as :v0.18.7), its digest (@sha256:…), or both"
        v.refuse(f"{v.quote(value)} can be another image tomorrow", fix)
    return value


Release = Annotated[str, *v.checked(_release, "1.18.2", _RELEASE)]
ContainerImage = Annotated[str, *v.checked(_container, "quay.io/cilium/cilium-cli:v0.18.7", _CONTAINER)]
_KEY_FIX = "write the path to the value, such as hubble.relay.enabled"
HelmKey = Annotated[str, v.matching(_HELM_KEY, "the path of a chart's value", _KEY_FIX)]


def _helm_value(value: Any) -> Any:
    """As it stands on a command line: `true`, `2`, `text`."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


HelmValue = Annotated[
    str,
    BeforeValidator(_helm_value),
    Field(max_length=1024, pattern=r"^[^\x00-\x1f\x7f]*$"),
    WithJsonSchema({"type": ["string", "integer", "boolean"], "examples": ["true"]}),
]


class ManifestFields(Model):
    """An official release or a manifest file; exactly one of the two."""

    version: Release | None = Field(default=None, description="Version to install.")
    manifest: v.ImageUrl | None = Field(
        default=None,
        description="Rendered Kubernetes objects to put into the configuration instead.",
        examples=["file:///srv/mirror/cilium.yaml"],
    )
    sha256: v.Sha256 | None = Field(default=None, description="SHA-256 of the manifest file.")


class CiliumFields(ManifestFields):
    """Cilium, for `cni: cilium`: a version (a job in the cluster installs it), or a manifest of your own."""

    installer: ContainerImage | None = Field(
        default=None, description="Image of the Cilium CLI that the job runs."
    )
    values: dict[HelmKey, HelmValue] | None = Field(
        default=None, description="Values of Cilium's chart, by their path, beside those that Talos needs."
    )


class ArgocdFields(ManifestFields):
    """Argo CD: a version (its official manifest is fetched once and held to), or a manifest of your own."""
