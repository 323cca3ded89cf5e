"""Downloads that break off, against a web server with ranges and certificates."""

import http.server
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.adapters import download
from inventory.errors import TransportError
from iso.lab.talos import pki

BODY, OTHER = bytes(range(256)) * 64, bytes(reversed(range(256))) * 64


class Web:
    """One file over HTTPS, under a version's name (`tag`); `cut`: bytes after which it hangs up, while it lasts."""

    def __init__(self, folder: Path) -> None:
        self.body, self.tag, self.cut = BODY, "", 0
        self.asked: list[str] = []
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.answer(self)

            def log_message(self, *_args: Any) -> None:
                pass

        pair = pki.self_signed(datetime.now(UTC), ["127.0.0.1"])
        self.certificate = folder / "web.crt"
        self.certificate.write_text(pair.crt)
        (folder / "web.key").write_text(pair.key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, folder / "web.key")
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"https://127.0.0.1:{self.server.server_address[1]}/image"

    def answer(self, request: http.server.BaseHTTPRequestHandler) -> None:
        wanted = request.headers.get("Range", "")
        self.asked.append(wanted)
        if request.headers.get("If-Range", self.tag) != self.tag:
            wanted = ""
        body = self.body[int(wanted.removeprefix("bytes=").removesuffix("-")) :] if wanted else self.body
        request.send_response(206 if wanted else 200)
        request.send_header("Content-Length", str(len(body)))
        if self.tag:
            request.send_header("ETag", self.tag)
        request.end_headers()
        request.wfile.write(body[: self.cut] if self.cut else body)


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Web]:
    made = Web(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "image"


def fetch(web: Web, target: Path, sha256: str = "") -> None:
    download.fetch(web.url, target, sha256, lambda _done, _total: None)


def break_off(web: Web, target: Path) -> None:
    """A run that ends for good, with a part of the file on disk."""
    web.cut = 1000
    with pytest.raises(TransportError, match="broke off"):
        fetch(web, target)
    web.cut = 0
    web.asked.clear()


def alone(target: Path) -> bool:
    return list(target.parent.iterdir()) == [target]


def test_a_later_run_goes_on_where_the_first_broke_off(web: Web, target: Path) -> None:
    web.tag = '"one"'
    break_off(web, target)
    fetch(web, target)
    assert web.asked == ["bytes=3000-"]  # it was tried three times
    assert target.read_bytes() == BODY
    assert alone(target)


def test_another_file_is_fetched_from_its_start(web: Web, target: Path) -> None:
    web.tag = '"one"'
    break_off(web, target)
    web.tag, web.body = '"two"', OTHER
    fetch(web, target)
    assert target.read_bytes() == OTHER
    assert alone(target)


@pytest.mark.parametrize("tag", ["", 'W/"one"', "no quotes"])
def test_without_a_way_to_tell_it_begins_anew(web: Web, target: Path, tag: str) -> None:
    web.tag = tag
    break_off(web, target)
    web.body = OTHER
    fetch(web, target)
    assert web.asked == [""]
    assert target.read_bytes() == OTHER
    assert alone(target)


def test_with_a_hash_to_judge_it_any_server_will_do(web: Web, target: Path) -> None:
    break_off(web, target)
    target.with_name("image.part").write_bytes(BODY[:1000])
    fetch(web, target, "0" * 64)  # whose checking is the caller's
    assert web.asked == ["bytes=1000-"]
    assert target.read_bytes() == BODY
