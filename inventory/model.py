"""What every document kind shares: strict models with camelCase keys, `apiVersion`, `kind`, `metadata`.

A kind is one module of `inventory.documents`; this module does not know which there are.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from inventory.values import LabelKey, LabelValue, Name

API_VERSION = "fleet/v1"


class Model(BaseModel):
    """Unknown keys are refused and nothing is converted silently (`"22"` is no number, `yes` no truth)."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, alias_generator=to_camel, hide_input_in_errors=True
    )


class Metadata(Model):
    name: Name = Field(description="Unique among the documents of this kind.")
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict, description="For selectors (`-l key=value`); nodes inherit them."
    )


class Document(Model):
    """The frame of each kind; `kind` and `spec` are narrowed by the kind's own model."""

    api_version: Literal["fleet/v1"] = Field(description="The format's version.")
    metadata: Metadata = Field(description="The document's name and labels.")


class SiteSelector(Model):
    """Which sites a window, blackout or policy is about. Both given: a site must satisfy both."""

    sites: list[Name] | None = Field(default=None, min_length=1, description="Names of sites.")
    labels: dict[LabelKey, LabelValue] | None = Field(
        default=None, min_length=1, description="Labels that the site must have, all of them."
    )


def without_nulls(tree: Any) -> Any:
    """A copy without the keys whose value is null: in a layer they only say "remove what was inherited".

    Patches keep theirs, since in a strategic merge patch null has its own meaning.
    """
    if not isinstance(tree, dict):
        return [without_nulls(item) for item in tree] if isinstance(tree, list) else tree
    return {
        key: value if key == "patches" else without_nulls(value)
        for key, value in tree.items()
        if value is not None
    }
