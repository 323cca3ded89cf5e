"""One machine, as a document of its own."""

from typing import Literal

from pydantic import Field

from inventory.model import Document
from inventory.parts import NodeSpec
from inventory.values import Name


class NodeDocumentSpec(NodeSpec):
    cluster: Name = Field(description="Name of its Cluster.")


class Node(Document):
    """One machine. The same fields as inline under a cluster, and `cluster`."""

    kind: Literal["Node"]
    spec: NodeDocumentSpec = Field(description="The node.")
