"""A named set of node fields, for machines of one sort that are spread over sites."""

from typing import Literal

from pydantic import Field

from inventory.model import Document
from inventory.parts import NodeFields


class NodeClass(Document):
    """Node fields for machines of one sort; nodes name it in `nodeClass`."""

    kind: Literal["NodeClass"]
    spec: NodeFields = Field(description="Node fields of this class.")
