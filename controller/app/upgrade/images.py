"""Which installer takes a node to another Talos: the one with the schematic it was installed with.

The reference is read from the configuration that the node runs with. Pulls and installs nothing.
"""

import re

from controller.app.ports import TalosNode
from controller.app.upgrade.reach import NotSent, Reach
from controller.app.upgrade.recorded import keep_changed
from controller.core.rollout.model import Hop
from inventory.errors import FleetError, RefusedError, Unreachable
from roles.schematic import upgraded

# Begins only where nothing of it stands before: else each place in a long certificate is tried to its end.
_REFERENCE = re.compile(
    r"(?<![^\s\"'])[^\s\"']+/(?:[a-z]+-)?installer(?:-secureboot)?/[0-9a-f]{64}(?::[^\s\"'@]+)?"
)
_ID = re.compile(r"(?<=/)[0-9a-f]{64}(?=:)")


async def there(node: TalosNode, hop: Hop) -> bool:
    """Whether it is where the hop leads to."""
    return await runs(node, hop.version, hop.schematic)


async def runs(node: TalosNode, version: str, schematic: str = "") -> bool:
    """Without a `schematic` any will do. Only read: a failure has sent nothing."""
    try:
        if (await node.version()).tag.removeprefix("v") != version:
            return False
        return not schematic or await node.schematic() == schematic
    except Unreachable as error:
        raise NotSent(error.what, where=error.where) from error


async def align(reach: Reach, name: str, version: str) -> str:
    """The installer in its configuration follows the version that runs: the next plan finds no change, and
    the next install is of the same version. What fails here is for that plan to show.
    """
    try:
        async with reach.acting(name) as node:
            if not await runs(node, version):
                return ""
            text, schematic = await node.running_config(), await node.schematic()
            changed = _with_installer(text, version, schematic)
            if changed == text:
                return ""
            await node.apply_configuration(changed.encode(), mode="NO_REBOOT")
    except FleetError as error:
        return f"its configuration names another installer: {error.what}"
    keep_changed(reach, name, lambda kept: _with_installer(kept, version, schematic))
    return f"its configuration names the installer of {version}"


def _with_installer(text: str, version: str, schematic: str) -> str:
    return _REFERENCE.sub(lambda found: _leading_to(found[0], version, schematic), text)


def _leading_to(known: str, version: str, schematic: str) -> str:
    """With the schematic that the known one has, unless another is meant."""
    reference = upgraded(known, version)
    return _ID.sub(schematic, reference) if schematic else reference


async def installer(node: TalosNode, reach: Reach, name: str, hop: Hop) -> str:
    """Raises RefusedError if its configuration names no schematic, since an upgrade would drop extensions."""
    known = str(reach.rows[name].record.get("installer", ""))
    if not known:
        try:
            text = await node.running_config()
        except Unreachable as error:  # only read so far
            raise NotSent(error.what, where=name) from error
        found = _REFERENCE.search(text)
        if found is None:
            raise RefusedError(
                "its configuration names no installer with a schematic: an upgrade would drop its extensions",
                where=name,
                fix="give the node a factory installer (…/metal-installer/<schematic>:v…) first: cto apply",
            )
        known = found[0]
    return _leading_to(known, hop.version, hop.schematic)
