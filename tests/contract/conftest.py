import pytest

from tests.contract.talos_lab import Site


@pytest.fixture
async def site(tmp_path):
    made = Site(tmp_path)
    yield made
    await made.close()
