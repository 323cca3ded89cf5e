"""Addresses that a request steered by others must not reach, in every dress they come in."""

import pytest

from controller.core.addresses import forbidden


@pytest.mark.parametrize(
    "text",
    [
        "127.0.0.1", "127.8.8.8", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%eth0",
        "224.0.0.251", "ff02::fb", "255.255.255.255", "240.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254",
        "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1", "localhost", "", "1.2.3",
    ],
)  # fmt: skip
def test_forbidden(text):
    assert forbidden(text)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.5", "192.168.1.1", "172.16.0.9", "fd00::5", "203.0.113.9", "2a00:1450::1", "64:ff9b::a00:5"],
)
def test_ones_own_network_is_fine(text):
    assert forbidden(text) == ""
