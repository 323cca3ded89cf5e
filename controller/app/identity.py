"""Certificates for the Talos API, minted for one job and gone with it. Stores none, opens no connection."""

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

from controller.app.desired import bundle_of
from controller.app.ports import Identity
from controller.app.services import Services
from roles.access import mint_identity
from roles.secrets import SecretsBundle

LIFETIME = timedelta(hours=1)  # as long as a job may take, and no longer


def mint(services: Services, bundle: SecretsBundle, roles: Sequence[str] = ("os:admin",)) -> Identity:
    """One certificate with these roles, signed by the bundle's own authority."""
    now = services.clock.now()
    made = mint_identity(bundle, roles, now=now, lifetime=LIFETIME, random_bytes=secrets.token_bytes)
    return Identity(made.ca, made.crt, made.key)


def minting(services: Services, cluster: str) -> Callable[[], Identity]:
    """A source of admin certificates for one cluster: one per job, made again when half its life is over."""
    made: list[tuple[float, Identity]] = []

    def identity() -> Identity:
        now = services.clock.monotonic()
        if not made or now - made[-1][0] > LIFETIME.total_seconds() / 2:
            made.append((now, mint(services, bundle_of(services, cluster))))
        return made[-1][1]

    return identity
