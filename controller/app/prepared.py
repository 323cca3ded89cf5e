"""What an image carries so that its machine enrols by itself: a one-use token, our pin, where we are.

Builds no image and enrols nobody.
"""

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from controller.app.services import Services
from inventory.errors import OperatorError
from inventory.fleet import Fleet
from iso.render.site import Enrollment
from roles.enrollment.invitation import Invitation
from roles.enrollment.token import ID, ID_BYTES, SECRET_BYTES, Token

# Any part of a token that has some of its secret.
_TOKEN_LIKE = re.compile(r"CTO1-|[A-Z2-7]{11}|[A-Z2-7]{10}-")


@dataclass(frozen=True, slots=True)
class Wanted:
    """`token` is an existing one's id; without it, one is made, for `role` or the only role at the site."""

    site: str = ""
    role: str = ""
    token: str = ""
    life: timedelta = timedelta(days=7)
    addresses: tuple[str, ...] = ()


def enrollment(
    services: Services, wanted: Wanted, fleet: Fleet | None, *, actor: str
) -> tuple[str, Enrollment]:
    """The site's name, and what goes into the image. Makes the token if none is given."""
    from controller.app.enrollment.identity import pin
    from iso.enroll.config import EnrollConfig

    for address in wanted.addresses:
        Invitation.parse(address)  # refused before a token is made
    token = _known(services, wanted) if wanted.token else _made(services, wanted, fleet, actor=actor)
    row = services.store.token(token.id)
    config = EnrollConfig(token=token.to_text(), pin=pin(services), addresses=wanted.addresses)
    return row.site, Enrollment(
        settings=config.to_json(),
        token=row.id,
        role=row.role,
        expires=row.expires_at,
        controller=", ".join(wanted.addresses),
    )


def withdraw(services: Services, wanted: Wanted, made: Enrollment, *, actor: str) -> None:
    """Nobody got the image: a token that was made for it must not stay good."""
    if not wanted.token:
        services.store.revoke_token(made.token, actor=actor)


def token_id(text: str) -> str:
    """The id as tokens are known by. The text never comes back in an error: it may be a whole token."""
    name = text.strip().upper()
    if ID.fullmatch(name):
        return name
    if _TOKEN_LIKE.search(name):
        raise OperatorError(
            "this is the token itself, which is a secret, and not its id",
            where="--enroll",
            fix="give its id, the ten characters that `cto token list` shows. What was typed may be in the "
            "shell's history, so better: cto token revoke ID, and leave --enroll out: another one is made",
        )
    raise OperatorError(
        "this is not the id of a token",
        where="--enroll",
        fix="give only the ten characters that `cto token list` shows",
    )


def _known(services: Services, wanted: Wanted) -> Token:
    """Refuses a token that would make an image nobody can enrol with, or many can."""
    name = token_id(wanted.token)
    secret = services.store.token_secret(name, services.clock.now())
    if secret is None:
        fix = "see `cto token list`, or leave --enroll out: one is made"
        raise OperatorError(f"token {name} is not known, used up, expired or revoked", fix=fix)
    row = services.store.token(name)
    if row.uses != 1:
        raise OperatorError(
            f"token {name} is good for {row.uses} machines",
            fix="an image carries a one-use token: make one with `cto token create`, or leave --enroll out",
        )
    if wanted.site and row.site != wanted.site:
        raise OperatorError(
            f"token {name} is for site {row.site}, and the image is for {wanted.site}",
            fix=f"make one with `cto token create --site {wanted.site}`, or leave --enroll out",
        )
    return Token(name, bytes(secret))


def _made(services: Services, wanted: Wanted, fleet: Fleet | None, *, actor: str) -> Token:
    if fleet is None:
        raise OperatorError("no token is given, and no site file to make one for", fix="give --site FILE")
    roles = list(dict.fromkeys(node.role for node in fleet.nodes.values() if node.site == wanted.site))
    role = wanted.role or (roles[0] if len(roles) == 1 else "")
    if role not in roles:
        several = f"site {wanted.site} has the roles {', '.join(roles) or 'none'}, and a token is for one"
        raise OperatorError(
            f"no node at {wanted.site} has the role {wanted.role}" if wanted.role else several,
            where=f"site/{wanted.site}",
            fix="say it with --role, or name the node with --node",
        )
    services.store.declare_site(fleet, wanted.site, actor=actor)
    token = Token.make(secrets.token_bytes(ID_BYTES + SECRET_BYTES))
    services.store.create_token(token, site=wanted.site, role=role, uses=1, life=wanted.life, actor=actor)
    return token
