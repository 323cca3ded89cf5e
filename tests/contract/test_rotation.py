"""An authority is exchanged under a node: who accepts both, and trusts both, can talk to it all the while."""

import base64
import os
from dataclasses import replace

import pytest

from controller.adapters.talos import GrpcTalosApi
from inventory.errors import NodeError
from roles.pki import new_ca, new_ed25519_key
from roles.secrets import Accepted, SecretsBundle
from tests.contract.talos_lab import bundle, config, identity, now


def entry(pem: str) -> dict[str, str]:
    return {"crt": base64.b64encode(pem.encode()).decode()}


def rotated(old: SecretsBundle) -> SecretsBundle:
    """As it is when the new authority issues and the old one is still accepted."""
    new = new_ca(new_ed25519_key(), organization="talos", now=now(), random_bytes=os.urandom)
    return replace(old, os=new, accepted=Accepted(os=(old.os.crt,)))


async def version(machine, secrets: SecretsBundle) -> str:
    who = identity(secrets)
    async with GrpcTalosApi().connect(
        machine.address, machine.talos_port, who, server_name=machine.address
    ) as api:
        return (await api.version()).tag


async def test_a_client_of_the_old_and_one_of_the_new_authority(site):
    old = bundle()
    new = rotated(old)
    text = config(new, acceptedCAs=[entry(pem) for pem in new.accepted.os])
    machine = site.machine("n1", config=text)
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("apid") == "Running/healthy")
    assert await version(machine, new) == "v1.13.9"
    before = replace(old, accepted=Accepted(os=(new.os.crt,)))
    assert await version(machine, before) == "v1.13.9"
    with pytest.raises(NodeError):  # it trusts the old one alone, and the node shows a certificate of the new
        await version(machine, old)


async def test_once_it_is_dropped_the_old_one_is_refused(site):
    old = bundle()
    new = rotated(old)
    machine = site.machine("n1", config=config(new))
    await machine.boot()
    await site.until(lambda: machine.instance.services.get("apid") == "Running/healthy")
    assert await version(machine, new) == "v1.13.9"
    with pytest.raises(NodeError):
        await version(machine, replace(old, accepted=Accepted(os=(new.os.crt,))))
