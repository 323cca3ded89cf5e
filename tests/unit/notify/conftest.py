"""A certificate for a server on loopback, and contexts that know it."""

import ssl

import pytest

from tests.peers_tls import make_certificate


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    make_certificate(folder, "localhost", "127.0.0.1")
    return folder


@pytest.fixture
def server_tls(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    return context


@pytest.fixture
def client_tls(certificate):
    return lambda: ssl.create_default_context(cafile=str(certificate / "cert.pem"))
