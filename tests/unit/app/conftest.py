"""Real services on a home of its own, with a clock that a test sets; and bundles whose RSA key is made once."""

from datetime import UTC, datetime, timedelta

import pytest

from controller.store import Store
from controller.wiring import Wiring, open_services
from roles.secrets import create, to_yaml

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


class SetClock:
    def __init__(self):
        self.at = NOW

    def now(self):
        return self.at

    def monotonic(self):
        return self.at.timestamp()

    async def sleep(self, seconds):
        self.at += timedelta(seconds=seconds)


@pytest.fixture
def services(tmp_path) -> Wiring:
    with open_services(tmp_path / "home") as wiring:
        wiring.__dict__["clock"] = SetClock()
        yield wiring


@pytest.fixture
def store(services) -> Store:
    return services.store


@pytest.fixture(scope="session")
def bundle():
    return create(now=NOW, random_bytes=lambda n: bytes(range(n)))


@pytest.fixture(scope="session")
def other(bundle):
    key = bundle.k8s_service_account_key
    return create(now=NOW, random_bytes=lambda n: bytes(range(1, n + 1)), service_account_key=key)


@pytest.fixture
def text(bundle):
    return to_yaml(bundle)
