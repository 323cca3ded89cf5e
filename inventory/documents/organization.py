"""The root of the overlay: what holds for every site, cluster and node unless they say otherwise."""

from typing import Literal

from pydantic import Field

from inventory.model import Document, Model
from inventory.moments import Zone
from inventory.parts import ClusterFields, LayerFields, RoleLayers


class OrganizationSpec(Model):
    timezone: Zone | None = Field(default=None, description="Time zone of sites that name none.")
    cluster_defaults: ClusterFields | None = Field(
        default=None, description="Cluster fields for all clusters."
    )
    defaults: LayerFields | None = Field(default=None, description="Node fields for all nodes.")
    roles: RoleLayers | None = Field(default=None, description="Node fields by role.")


class Organization(Document):
    """What holds for all sites. At most one."""

    kind: Literal["Organization"]
    spec: OrganizationSpec = Field(default_factory=OrganizationSpec, description="What holds for all.")
