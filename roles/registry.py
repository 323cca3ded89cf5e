"""Which roles there are. A new role is one file with a `SPEC` and one line here; a test compares the two."""

from collections.abc import Mapping

from inventory.errors import OperatorError
from roles import appliance, controlplane, worker
from roles.spec import RoleSpec

ROLES: Mapping[str, RoleSpec] = {spec.slug: spec for spec in (controlplane.SPEC, worker.SPEC, appliance.SPEC)}


def role(slug: str) -> RoleSpec:
    """The role of this name."""
    try:
        return ROLES[slug]
    except KeyError:
        raise OperatorError(f"there is no role {slug!r}", fix=f"use one of: {', '.join(ROLES)}") from None
