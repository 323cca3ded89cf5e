"""Operations on when machines may ask to join. None makes a token: it would lie in the kept replies."""

from typing import Annotated, Any

from pydantic import Field, StringConstraints

from web.access.grants import Level
from web.access.guard import who
from web.api.operations import Operations, Strict
from web.inviting import OPEN_MINUTES
from web.orders_port import Inviting
from web.ports import EnrollWindowView, Queries

Interface = Annotated[str, StringConstraints(max_length=100, strip_whitespace=True)]
_PATH = "/enrollment-window"


class Opening(Strict):
    minutes: int = Field(default=OPEN_MINUTES, ge=1, le=24 * 60, description="Then it closes itself.")
    interface: Interface = Field(
        default="", description="Its name or an address; empty: as last time, or the only one."
    )


def add_inviting(operations: Operations, inviting: Inviting, queries: Queries) -> None:
    """Adds them."""
    window = EnrollWindowView | None

    @operations.add("GET", _PATH, level=Level.VIEWER, answer=window)
    def get_enrollment_window() -> Any:
        """When machines may ask to join, and who listens; null if it was never open."""
        return queries.enrollment_window()

    @operations.add(
        "POST", _PATH, level=Level.OPERATOR, whole=True, fresh=True, answer=window, body=Opening, status=201
    )
    def open_enrollment(body: Opening) -> Any:
        """Lets machines with a token ask to join, for a time. Takes the place of what was open before."""
        inviting.open(minutes=body.minutes, interface=body.interface, actor=who().actor)
        return queries.enrollment_window()

    @operations.add("DELETE", _PATH, level=Level.OPERATOR, whole=True, answer=window)
    def close_enrollment() -> Any:
        """Lets no machine ask any more. Who waits can still be approved."""
        inviting.close(actor=who().actor)
        return queries.enrollment_window()
