"""Image factory schematics: the document, its id, and the names of what the factory serves. Fetches nothing.

The id is the SHA-256 of the canonical document, so it can be said before the factory was asked (image-factory
pkg/schematic). Only texts whose YAML form is beyond doubt are predicted; for others the site file names the
id that the factory gave. The order of extensions matters: it is kept.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from facts.hardware import Overlay, Profile
from inventory import versions
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Image, Node
from roles import features

Arch = Literal["amd64", "arm64"]
REGISTRY = "factory.talos.dev"
CONFIG_ARGUMENT = "talos.config=metal-iso"  # tells Talos to look for a volume called metal-iso
_FIRST_METAL_INSTALLER = 10  # Talos minor; earlier ones have one installer for all platforms

_PLAIN = re.compile(r"[A-Za-z/_][A-Za-z0-9/_.=,+@%~-]*(?::[A-Za-z0-9/_.=,+@%~-]+)*")
_YAML_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ID = re.compile(r"[0-9a-f]{64}")
_INSTALLER = re.compile(
    r"(?P<host>[^@\s]+)/(?:metal-)?installer(?P<secure>-secureboot)?/(?P<id>[0-9a-f]{64})"
    r"(?::[^@/\s]+)?(?:@sha256:[0-9a-f]{64})?"
)


@dataclass(frozen=True, slots=True)
class Schematic:
    """`document` is empty if the site file gave only the id."""

    id: str
    document: str = ""
    extensions: tuple[str, ...] = ()
    kernel_args: tuple[str, ...] = ()


def document(
    extensions: Sequence[str] = (), kernel_args: Sequence[str] = (), overlay: Overlay | None = None
) -> str:
    """The canonical YAML, byte for byte as the factory makes it."""
    board = (
        ["overlay:", f"    image: {_plain(overlay.image)}", f"    name: {_plain(overlay.name)}"]
        if overlay
        else []
    )
    lines = []
    if kernel_args:
        lines += ["    extraKernelArgs:", *(f"        - {_plain(arg)}" for arg in kernel_args)]
    if extensions:
        names = (f"            - {_plain(name)}" for name in extensions)
        lines += ["    systemExtensions:", "        officialExtensions:", *names]
    return "\n".join([*board, "customization:" if lines else "customization: {}", *lines, ""])


def predict(
    extensions: Sequence[str] = (), kernel_args: Sequence[str] = (), overlay: Overlay | None = None
) -> Schematic:
    """The schematic with the id the factory will give it."""
    text = document(extensions, kernel_args, overlay)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Schematic(digest, text, tuple(extensions), tuple(kernel_args))


def for_node(node: Node, profile: Profile | None = None) -> Schematic:
    """A node's schematic: the id its site file names, else predicted from all that is asked for.

    Extensions come in this order, each once: the site file's, those that switched-on features need, the
    hardware profile's. Delivery by metal-iso adds the kernel argument that makes Talos look for its volume.
    """
    image = node.image
    if image.schematic:
        if not _ID.fullmatch(image.schematic):
            raise OperatorError(
                f"{image.schematic!r} is no schematic id",
                fix="give the 64 hex digits that the factory answers",
            )
        return Schematic(image.schematic)
    of_profile = profile.extensions if profile else ()
    arguments: tuple[str, ...] = (CONFIG_ARGUMENT,) if node.delivery.method == "metal-iso" else ()
    arguments += profile.kernel_args if profile else ()
    return predict(
        tuple(dict.fromkeys((*image.extensions, *features.extensions(node.settings), *of_profile))),
        tuple(dict.fromkeys(arguments)),
        profile.overlay if profile else None,
    )


def installer_reference(image: Image, schematic_id: str) -> str:
    """The container image that upgrades this node and keeps its extensions."""
    return _installer(_host(image), schematic_id, image.talos)


def image_url(image: Image, schematic_id: str, arch: Arch) -> str:
    """Where the raw disk image is: the site file's own place, else the factory's."""
    return (
        image.url or f"{image.factory.rstrip('/')}/image/{schematic_id}/v{image.talos}/metal-{arch}.raw.zst"
    )


def upgraded(reference: str, talos: str) -> str:
    """The installer of another Talos with the schematic of `reference`, so that its extensions stay.

    `reference` is what the node was installed from, not what the site file says now. Refused if it names no
    schematic, since an installer without one would leave the extensions out.
    """
    match = _INSTALLER.fullmatch(reference)
    if not match:
        raise RefusedError(
            f"{reference!r} names no schematic: an upgrade by it would drop the system extensions",
            fix="give the node a factory installer (…/metal-installer/<schematic>:v…) first: cto apply",
        )
    return _installer(match["host"], match["id"], talos, secure_boot=bool(match["secure"]))


def _installer(host: str, schematic_id: str, talos: str, *, secure_boot: bool = False) -> str:
    name = "installer" if versions.minor(talos) < _FIRST_METAL_INSTALLER else "metal-installer"
    return f"{host}/{name}{'-secureboot' if secure_boot else ''}/{schematic_id}:v{talos}"


def _host(image: Image) -> str:
    """The registry of installers. A folder is none: nodes then pull from the usual one, or its mirrors."""
    if image.factory.startswith(("/", "file:///")):
        return REGISTRY
    parts = urlsplit(image.factory)
    if parts.scheme not in {"https", "http"} or not parts.netloc:
        raise OperatorError(
            f"{image.factory!r} is no factory",
            fix="write it as https://factory.example.org, or file:///folder",
        )
    return parts.netloc + parts.path.rstrip("/")


def _plain(text: str) -> str:
    if _PLAIN.fullmatch(text) and text.lower() not in _YAML_WORDS:
        return text
    raise RefusedError(
        f"the schematic id for {text!r} can't be predicted, since it needs quotes in YAML",
        fix="post the schematic to the factory and give the id it answers as image.schematic",
    )
