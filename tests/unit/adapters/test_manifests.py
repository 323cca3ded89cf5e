"""Manifest files: where they come from, what holds them, and what is said when they can't be had."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from controller.adapters.manifests import ManifestFiles
from controller.store import Home, Store
from inventory.errors import OperatorError, RefusedError
from inventory.fleet import Cluster

TEXT = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n    name: a\n    namespace: argocd\n"
OTHER = TEXT.replace("name: a", "name: b")


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def cluster(url: str, sha256: str = "") -> Cluster:
    settings = {"argocd": {"manifest": str(url), **({"sha256": sha256} if sha256 else {})}}
    return Cluster("b", "b", "https://10.0.0.10:6443", "1.36.3", ("n",), settings=settings)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    now = datetime(2026, 3, 2, tzinfo=UTC)
    ids = iter(range(10**6))
    with Store.open(Home(tmp_path / "home"), now=lambda: now, new_id=lambda: f"{next(ids):016x}") as opened:
        yield opened


@pytest.fixture
def files(tmp_path: Path, store: Store) -> ManifestFiles:
    return ManifestFiles(tmp_path / "manifests", store)


class Web:
    """One text under any path; counts who asked."""

    def __init__(self) -> None:
        self.text, self.status, self.asked = TEXT, 200, 0
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked += 1
                body = web.text.encode()
                self.send_response(web.status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_args: Any) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v3.1.8/install.yaml"


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.server.shutdown()
    made.thread.join()
    made.server.server_close()


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_local_file_is_read_and_pinned(
    files: ManifestFiles, store: Store, tmp_path: Path, form: str
) -> None:
    path = tmp_path / "argocd.yaml"
    path.write_text(TEXT)
    wanted = cluster(form.format(path))
    assert files.of(wanted)["argocd"].contents == TEXT
    assert store.image_pin(form.format(path)) == sha(TEXT)

    path.write_text(OTHER)
    with pytest.raises(RefusedError, match="not the one that was asked for") as refused:
        files.of(wanted)
    assert "argocd.sha256" in refused.value.fix
    assert path.exists()  # an operator's file is never removed
    files.of(cluster(form.format(path), sha(OTHER)))
    assert store.image_pin(form.format(path)) == sha(OTHER)


def test_a_wrong_hash_pins_nothing(files: ManifestFiles, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "argocd.yaml"
    path.write_text(TEXT)
    with pytest.raises(RefusedError):
        files.of(cluster(str(path), "0" * 64))
    assert store.image_pin(str(path)) == ""


def test_a_file_that_can_not_be_used_pins_nothing_for_good(files: ManifestFiles, tmp_path: Path) -> None:
    """The operator mends it; that it was read once in a bad state must not stand in the way."""
    path = tmp_path / "argocd.yaml"
    path.write_text("a: [")
    with pytest.raises(OperatorError, match="is no YAML"):
        files.of(cluster(str(path)))
    path.write_text(TEXT)
    assert files.of(cluster(str(path)))["argocd"].contents == TEXT


async def test_fetched_once(files: ManifestFiles, web: Web) -> None:
    wanted = cluster(web.url, sha(TEXT))
    await files.prepare([wanted, wanted])
    assert web.asked == 1
    assert files.of(wanted)["argocd"].contents == TEXT
    assert files.of(wanted)["argocd"] is files.of(wanted)["argocd"]  # looked through once
    assert web.asked == 1


def test_another_file_under_the_same_url_is_refused_and_fetched_anew(files: ManifestFiles, web: Web) -> None:
    wanted = cluster(web.url, sha(TEXT))
    web.text = OTHER
    with pytest.raises(RefusedError, match=sha(OTHER)):
        files.of(wanted)
    web.text = TEXT
    assert files.of(wanted)["argocd"].contents == TEXT


async def test_what_the_server_says_is_told_with_what_to_do(files: ManifestFiles, web: Web) -> None:
    web.status = 404
    wanted = cluster(web.url, sha(TEXT))
    await files.prepare([wanted])  # tells nothing by itself
    with pytest.raises(OperatorError, match="404") as missing:
        files.of(wanted)
    assert "argocd" in str(missing.value.where)
    assert "manifest" in missing.value.fix


def test_plain_http_needs_a_hash(files: ManifestFiles, web: Web) -> None:
    with pytest.raises(OperatorError, match="plain HTTP"):
        files.of(cluster(web.url))
    assert web.asked == 0


@pytest.mark.parametrize(
    ("name", "content", "what"), [("none", None, "can't be read"), ("bin", b"\xff", "no text")]
)
def test_what_is_no_readable_text(
    files: ManifestFiles, tmp_path: Path, name: str, content: Any, what: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(OperatorError, match=what) as refused:
        files.of(cluster(str(tmp_path / name)))
    assert refused.value.fix


def test_a_folder_stands_for_the_network(store: Store, tmp_path: Path) -> None:
    mirror = tmp_path / "usb"
    place = mirror / "argoproj/argo-cd/v3.1.8/manifests/install.yaml"
    place.parent.mkdir(parents=True)
    files = ManifestFiles(tmp_path / "manifests", store, mirror=mirror)
    wanted = Cluster("b", "b", "https://a:6443", "1.36.3", ("n",), settings={"argocd": {"version": "3.1.8"}})
    with pytest.raises(OperatorError, match="no such file"):
        files.of(wanted)
    place.write_text(TEXT)
    assert files.of(wanted)["argocd"].contents == TEXT
    assert not (tmp_path / "manifests").exists()
