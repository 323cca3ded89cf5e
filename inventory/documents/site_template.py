"""The shared shape of many sites. Its body holds `${…}` and is checked once a site has filled it in."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from inventory.model import Document, Model
from inventory.parts import ClusterFields, ClusterLayers, InlineNode, LayerFields, RoleLayers
from inventory.values import Name, quote, refuse

_PARAMETER = re.compile(r"[a-z][A-Za-z0-9]{0,31}")
_RESERVED = {"site", "organization", "index"}


def _parameter_name(name: str) -> str:
    if name in _RESERVED or not _PARAMETER.fullmatch(name):
        refuse(
            f"{quote(name)} is not a parameter name",
            f"use letters and digits, lower case first, and none of {', '.join(sorted(_RESERVED))}",
        )
    return name


ParameterName = Annotated[str, AfterValidator(_parameter_name)]


class Parameter(Model):
    type: Literal["text", "number"] | None = Field(default=None, description="Default: text.")
    description: str | None = Field(default=None, description="For the people who fill it in.")
    default: Any = Field(default=None, description="Value of sites that give none; without it they must.")

    def accepts(self, value: Any) -> bool:
        expected = int if self.type == "number" else str
        return isinstance(value, expected) and not isinstance(value, bool)

    @model_validator(mode="after")
    def _default_has_the_type(self) -> Self:
        if self.default is not None and not self.accepts(self.default):
            refuse(
                f"the default is not a {self.type or 'text'}",
                "write a whole number" if self.type == "number" else "quote it, or say type: number",
            )
        return self


class SiteTemplateSpec(Model):
    """The frame; the body is `TemplateBody` with `${…}` in it."""

    parameters: dict[ParameterName, Parameter] = Field(
        default_factory=dict, description="What each site may or must fill in, used as `${name}`."
    )
    cluster_defaults: dict[str, Any] | None = Field(
        default=None, description="Cluster fields for all clusters."
    )
    defaults: dict[str, Any] | None = Field(default=None, description="Node fields for all nodes.")
    roles: dict[str, Any] | None = Field(default=None, description="Node fields by role.")
    clusters: list[dict[str, Any]] | None = Field(default=None, description="Clusters that each site gets.")


class TemplateNode(InlineNode):
    count: Annotated[int, Field(ge=0, le=500)] | None = Field(
        default=None, description="Repeat the node with `${index}` 1, 2, 3…"
    )


class TemplateCluster(ClusterLayers):
    name: Name = Field(description="Unique in the fleet.")
    nodes: list[TemplateNode] = Field(default_factory=list, description="The cluster's nodes.")


class TemplateBody(Model):
    """The body after a site has filled it in."""

    cluster_defaults: ClusterFields | None = Field(
        default=None, description="Cluster fields for all clusters."
    )
    defaults: LayerFields | None = Field(default=None, description="Node fields for all nodes.")
    roles: RoleLayers | None = Field(default=None, description="Node fields by role.")
    clusters: list[TemplateCluster] | None = Field(default=None, description="Clusters that each site gets.")


class SiteTemplate(Document):
    """The shared shape of many sites, with `${…}` where they differ."""

    kind: Literal["SiteTemplate"]
    spec: SiteTemplateSpec = Field(description="Parameters and the shape.")
