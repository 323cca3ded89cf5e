"""Orders of pages and API on when machines may ask to join, and the tokens that they need.

`web.orders_port.Inviting` over the store. Listens nowhere: an engine does, as long as the store says so.
"""

import secrets
from collections.abc import Sequence
from datetime import timedelta

from controller.app.services import Services
from controller.app.writing import Writing
from inventory.errors import OperatorError
from roles.enrollment.invitation import PORT
from roles.enrollment.token import ID_BYTES, SECRET_BYTES, Token
from web.orders_port import Invitation

LONGEST = 24 * 60  # minutes to be open


class InvitingDesk:
    def __init__(self, writing: Writing) -> None:
        self._writing = writing

    def open(self, *, minutes: int, interface: str, actor: str) -> None:
        if not 0 < minutes <= LONGEST:
            raise OperatorError(f"{minutes} minutes is not a time to be open", fix=f"1 to {LONGEST} minutes")
        self._writing.run(lambda s: _open(s, timedelta(minutes=minutes), interface, actor))

    def close(self, *, actor: str) -> bool:
        return self._writing.run(
            lambda s: s.store.close_enrollment(actor=actor, reason="closed by its operator")
        )

    def invite(self, *, site: str, role: str, uses: int, hours: int, actor: str) -> Invitation:
        made = Token.make(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
        life = timedelta(hours=hours)
        row = self._writing.run(
            lambda s: s.store.create_token(made, site=site, role=role, uses=uses, life=life, actor=actor)
        )
        return Invitation(row.id, row.site, row.role, row.uses, row.expires_at, made.to_text())


def _open(services: Services, life: timedelta, interface: str, actor: str) -> None:
    named, port = _where(services, interface)
    services.enrollment.addresses(named)  # refuses what is not there
    until = services.clock.now() + life
    services.store.open_enrollment(until=until, interfaces=named, port=port, actor=actor)


def _where(services: Services, interface: str) -> tuple[Sequence[str], int]:
    """Opened from afar, it is opened no wider than it was by whoever sat before the controller."""
    last = services.store.enrollment_window()
    port = last.port if last is not None else PORT
    if interface:
        return (interface,), port
    if last is not None:
        return tuple(last.interfaces), port
    return tuple(services.enrollment.addresses(())), port
