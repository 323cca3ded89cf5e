"""When nothing disruptive may happen, whatever the windows say."""

from datetime import datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from inventory.calendar import Blackout as BlackoutValue
from inventory.model import Document, Model, SiteSelector
from inventory.moments import Moment
from inventory.values import refuse


class BlackoutSpec(Model):
    applies_to: SiteSelector | None = Field(default=None, description="Which sites; without it, all.")
    start: Moment = Field(description="First day (2026-12-24), day of every year (12-24), or instant.")
    end: Moment = Field(description="Last day, which is included; or the instant of the end.")
    reason: str = Field(min_length=1, max_length=200, description="Why; shown to whoever waits for it.")
    hard: bool | None = Field(default=None, description="Not even an emergency override lifts it.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if _form(self.start) != _form(self.end):
            refuse(
                f"start is {_form(self.start)} and end is {_form(self.end)}",
                "write both as dates, both as month-days, or both as instants",
            )
        backwards = _form(self.start) == "a date" and self.end < self.start
        if _form(self.start) == "an instant":
            backwards = datetime.fromisoformat(self.end) <= datetime.fromisoformat(self.start)
        if backwards:
            refuse("the end is before the start", "exchange the two")
        return self


def _form(moment: str) -> str:
    if "T" in moment:
        return "an instant"
    return "a month-day" if len(moment) == len("12-24") else "a date"


class Blackout(Document):
    """When nothing disruptive may happen; wins over every window."""

    kind: Literal["Blackout"]
    spec: BlackoutSpec = Field(description="The blackout.")

    def value(self, sites: tuple[str, ...]) -> BlackoutValue:
        """As the calendar sees it, for these sites."""
        spec = self.spec
        return BlackoutValue(self.metadata.name, sites, spec.start, spec.end, spec.reason, bool(spec.hard))
