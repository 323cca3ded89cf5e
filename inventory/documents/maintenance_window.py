"""When disruptive work may happen: local wall-clock time, on weekdays of the start."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from inventory.calendar import MaintenanceWindow as Window
from inventory.model import Document, Model, SiteSelector
from inventory.moments import Date, Duration, Time, Zone, duration_minutes
from inventory.values import refuse

_DAY = 24 * 60
Weekday = Literal["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]


def _each_once(days: list[str]) -> list[str]:
    twice = next((day for day in days if days.count(day) > 1), None)
    if twice is not None:
        refuse(f"{twice} is listed twice", "list each day once")
    return days


class MaintenanceWindowSpec(Model):
    applies_to: SiteSelector | None = Field(default=None, description="Which sites; without it, all.")
    timezone: Zone | None = Field(default=None, description="Time zone; default: each site's own.")
    days: Annotated[list[Weekday], AfterValidator(_each_once)] = Field(
        min_length=1, description="Weekdays on which the window starts."
    )
    start: Time = Field(description="Local time of the start.")
    end: Time | None = Field(default=None, description="Local end; not after the start: the next day.")
    duration: Duration | None = Field(default=None, description="Length, instead of `end`; at most 24h.")
    valid_from: Date | None = Field(default=None, description="First local date.")
    valid_until: Date | None = Field(default=None, description="Last local date.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.end is None) == (self.duration is None):
            refuse("a window has either an end or a duration", "write one of end: and duration:")
        if self.duration is not None and duration_minutes(self.duration) > _DAY:
            refuse("the window is longer than 24 hours", "list more days instead")
        if self.valid_from and self.valid_until and self.valid_until < self.valid_from:
            refuse("validUntil is before validFrom", "exchange the two dates")
        return self

    @property
    def minutes(self) -> int:
        if self.duration is not None:
            return duration_minutes(self.duration)
        return (_clock(self.end or self.start) - _clock(self.start) - 1) % _DAY + 1


class MaintenanceWindow(Document):
    """When disruptive work may happen."""

    kind: Literal["MaintenanceWindow"]
    spec: MaintenanceWindowSpec = Field(description="The window.")

    def value(self, sites: tuple[str, ...]) -> Window:
        """As the calendar sees it, for these sites."""
        spec = self.spec
        return Window(
            name=self.metadata.name,
            sites=sites,
            timezone=spec.timezone or "",
            days=tuple(spec.days),
            start=spec.start,
            minutes=spec.minutes,
            end=spec.end or "",
            valid_from=spec.valid_from or "",
            valid_until=spec.valid_until or "",
        )


def _clock(time: str) -> int:
    hours, minutes = time.split(":")
    return int(hours) * 60 + int(minutes)
