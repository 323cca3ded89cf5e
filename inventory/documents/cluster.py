"""One Kubernetes cluster at one site, with its nodes inline or as Node documents."""

from typing import Literal

from pydantic import Field

from inventory.model import Document
from inventory.parts import ClusterLayers, InlineNode
from inventory.values import Name


class ClusterSpec(ClusterLayers):
    site: Name = Field(description="Name of its Site.")
    nodes: list[InlineNode] = Field(default_factory=list, description="Nodes; Node documents may add more.")


class Cluster(Document):
    """One Kubernetes cluster at one site."""

    kind: Literal["Cluster"]
    spec: ClusterSpec = Field(description="The cluster.")
