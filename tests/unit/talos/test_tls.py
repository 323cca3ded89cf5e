import os
import ssl

import pytest

from controller.adapters.tls import client_context, standard_key, talos_key
from inventory.errors import OperatorError
from tests.contract.talos_lab import bundle, identity

OUTSIDE = "-----BEGIN CERTIFICATE-----\nED25519 PRIVATE KEY\n-----END CERTIFICATE-----\n"


def test_the_header_goes_both_ways_and_nothing_else_changes():
    key = identity(bundle()).key
    assert "BEGIN ED25519 PRIVATE KEY" in key
    assert "BEGIN PRIVATE KEY" in standard_key(key)
    assert talos_key(standard_key(key)) == key
    assert standard_key(standard_key(key)) == standard_key(key)
    assert standard_key(OUTSIDE) == OUTSIDE


def test_the_context_verifies_and_knows_one_authority_only():
    who = identity(bundle())
    context = client_context(who.ca, who.crt, who.key)
    assert (context.check_hostname, context.verify_mode) == (True, ssl.CERT_REQUIRED)
    assert len(context.get_ca_certs()) == 1


def test_without_memory_files_nothing_stays_on_disk(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    who = identity(bundle())
    client_context(who.ca, who.crt, who.key)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", ["ca", "crt", "key"])
def test_what_is_no_certificate_is_the_operator_s_error(part):
    who = identity(bundle())
    parts = {"ca": who.ca, "crt": who.crt, "key": who.key, part: "nonsense"}
    with pytest.raises(OperatorError, match="can't be used"):
        client_context(**parts)


def test_a_key_of_another_certificate_is_refused():
    who, other = identity(bundle()), identity(bundle())
    with pytest.raises(OperatorError):
        client_context(who.ca, who.crt, other.key)
