"""A publisher's key file: only its passphrase opens it, and nothing else is taken for one."""

import pytest

from controller.app.vendor_key import seal, unseal
from inventory.errors import OperatorError

PASSPHRASE, SEED = "four words make one", bytes(range(32))


def test_only_the_passphrase_opens_it():
    text = seal(SEED, PASSPHRASE)
    assert unseal(text, PASSPHRASE, where="k") == SEED
    with pytest.raises(OperatorError, match="does not open"):
        unseal(text, PASSPHRASE + "!", where="k")
    assert seal(SEED, PASSPHRASE) != text  # another salt each time


@pytest.mark.parametrize("text", ["", "a b", "x y z", "cto-vendor-key/v1 AAAA AAAA", "cto-vendor-key/v1 é é"])
def test_what_is_none(text):
    with pytest.raises(OperatorError, match="not a publisher's key"):
        unseal(text, PASSPHRASE, where="k")


def test_a_short_passphrase_is_refused():
    with pytest.raises(OperatorError, match="too short"):
        seal(SEED, "secret")
