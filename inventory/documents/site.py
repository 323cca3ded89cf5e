"""A place with machines. Says only what differs from its organization and template."""

from typing import Any, Literal

from pydantic import Field

from inventory.model import Document, Model
from inventory.moments import Zone
from inventory.parts import ClusterFields, LayerFields, OwnFields, RoleLayers
from inventory.values import Name


class SiteSpec(Model):
    template: Name | None = Field(
        default=None, description="Name of the SiteTemplate it is made from.", examples=["shop"]
    )
    parameters: dict[str, Any] | None = Field(
        default=None, description="Values for the template's parameters."
    )
    timezone: Zone | None = Field(default=None, description="Time zone; default: the organization's.")
    cluster_defaults: ClusterFields | None = Field(
        default=None, description="Cluster fields for its clusters."
    )
    defaults: LayerFields | None = Field(default=None, description="Node fields for all its nodes.")
    roles: RoleLayers | None = Field(default=None, description="Node fields by role.")
    nodes: dict[Name, OwnFields] | None = Field(
        default=None, description="Node name → what differs on a node that the template declares."
    )


class Site(Document):
    """A place with machines."""

    kind: Literal["Site"]
    spec: SiteSpec = Field(default_factory=SiteSpec, description="The site.")
