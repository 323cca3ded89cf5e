"""A download that is sent on from TLS to plain HTTP: only where its hash is demanded. Two real servers."""

import hashlib
import ssl
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from controller.adapters.download import fetch
from inventory.errors import OperatorError
from tests.peers_tls import make_certificate

BODY = b"an image"


@contextmanager
def serving(handle, context=None):
    class Handler(BaseHTTPRequestHandler):
        do_GET = handle  # noqa: N815 - the library's name

        def log_message(self, *_args):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def sent_on(tmp_path, monkeypatch):
    """An https:// address that leads to a plain one."""
    crt, key = make_certificate(tmp_path, "127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(crt))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(crt, key)

    def body(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(BODY)))
        handler.end_headers()
        handler.wfile.write(BODY)

    with serving(body) as plain:

        def away(handler):
            handler.send_response(302)
            handler.send_header("Location", f"http://127.0.0.1:{plain}/image")
            handler.end_headers()

        with serving(away, context) as port:
            yield f"https://127.0.0.1:{port}/image"


def test_without_a_hash_it_is_refused(sent_on, tmp_path):
    with pytest.raises(OperatorError, match="plain HTTP"):
        fetch(sent_on, tmp_path / "image", "", lambda _done, _total: None)
    assert not (tmp_path / "image").exists()


def test_with_one_the_hash_decides(sent_on, tmp_path):
    fetch(sent_on, tmp_path / "image", hashlib.sha256(BODY).hexdigest(), lambda _done, _total: None)
    assert (tmp_path / "image").read_bytes() == BODY
