"""Images into a registry: Debian's docker-registry as it is packaged, and servers that answer wrongly."""

import hashlib
import http.client
import json
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from controller.adapters.registry import OciRegistries
from controller.app import pushing
from controller.app.registry_port import File
from controller.core.release import oci
from controller.wiring import open_services
from inventory.errors import OperatorError, RefusedError, TransportError
from tests.peers_feed import Feed
from tests.peers_oci import INDEX, MANIFEST, Image
from tests.unit.release.test_feed_http import answer, serving

NAME = oci.Reference("k8s/pause", "3.10")


def files(image):
    kind = INDEX if image.blobs[image.top].find(b'"manifests"') >= 0 else MANIFEST
    top = oci.Part(kind, image.top, len(image.blobs[image.top]))
    return [
        File(part, image.folder / "blobs" / "sha256" / part.sha256)
        for part in oci.parts(top, lambda part: image.blobs[part.sha256])
    ]


@pytest.fixture(scope="session")
def registry(tmp_path_factory):
    """Debian's registry on a loopback address, with its files in a folder of ours."""
    with started(tmp_path_factory.mktemp("registry")) as url:
        yield url


@contextmanager
def started(folder, auth=""):
    """`auth`: as in the registry's own configuration. Empty if this computer has no such program."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {folder}/data}}}}\nhttp: {{addr: '{address}'}}\n"
    (folder / "config.yml").write_text(config + auth)
    program = shutil.which("docker-registry")
    if program is None:
        yield ""
        return
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([program, "serve", folder / "config.yml"], stdout=log, stderr=log)
    try:
        end = time.monotonic() + 60
        while not _answers(address):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < end
            time.sleep(0.05)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)


def _answers(address):
    try:
        return get(f"http://{address}", "/v2/")[0] in (200, 401)
    except OSError:
        return False


def get(url, path, accept=""):
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        found = connection.getresponse()
        return found.status, found.read()
    finally:
        connection.close()


def pulled(url, repository, reference):
    """All parts of an image as a node would fetch them, by digest."""
    status, data = get(url, f"/v2/{repository}/manifests/{reference}", f"{MANIFEST}, {INDEX}")
    assert status == 200
    found = {hashlib.sha256(data).hexdigest(): data}
    body = json.loads(data)
    for each in body.get("manifests", ()):
        found |= pulled(url, repository, each["digest"])
    for each in [body["config"], *body["layers"]] if "layers" in body else ():
        status, blob = get(url, f"/v2/{repository}/blobs/{each['digest']}")
        assert status == 200
        found[hashlib.sha256(blob).hexdigest()] = blob
    return found


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("platforms", [1, 2])
def test_what_is_pushed_is_what_is_pulled(platforms, registry, tmp_path):
    image = Image.write(tmp_path, platforms=platforms, seed=platforms)
    name = oci.Reference(f"k8s/pause{platforms}", "3.10")
    sent = OciRegistries().push(registry, name, files(image))
    assert sent == sum(map(len, image.blobs.values()))
    assert pulled(registry, name.repository, "3.10") == image.blobs
    again = OciRegistries().push(registry, name, files(image))
    assert again == sum(len(data) for data in image.blobs.values() if b'"schemaVersion"' in data)


@pytest.mark.needs("docker-registry")
def test_from_the_publisher_to_the_registry(registry, cto, tmp_path):
    """A bundle carries an image; import pushes it; a node's pull gives the bytes that were signed."""
    image = Image.write(tmp_path / "layout", platforms=2, seed=7)
    feed = Feed(tmp_path / "publisher")
    parts = [{"target": f"oci/{sha}", "url": "", "what": "oci"} for sha in image.blobs]
    next(each for each in parts if each["target"].endswith(image.top))["what"] = "oci carried/pause:3.10"
    for sha, data in image.blobs.items():
        feed.add(f"oci/{sha}", data)
    feed.release("1.0.0", 1, artifacts=parts)
    feed.publish()
    here, there = tmp_path / "here", tmp_path / "there"
    for home in (here, there):
        assert cto("update", "trust", feed.first_root, "--url", feed.folder, "--yes", to=home).code == 0
    assert cto("bundle", "create", tmp_path / "b", "--release", "talos-1.0.0", to=here).code == 0
    shutil.rmtree(feed.folder)
    ran = cto("bundle", "import", tmp_path / "b", "--push", registry, "--output", "json", to=there)
    assert ran.code == 0, ran.err
    assert ran.json["pushed"] == [
        {"name": "carried/pause:3.10", "sha256": image.top, "sent": sum(map(len, image.blobs.values()))}
    ]
    assert pulled(registry, "carried/pause", "3.10") == image.blobs
    (rotten,) = there.glob(f"updates/files/*/{image.layers[0]}")
    rotten.chmod(0o600)
    rotten.write_bytes(b"x")
    shutil.rmtree(tmp_path / "b" / "targets" / "oci")
    ran = cto("bundle", "import", tmp_path / "b", "--push", registry, "--output", "json", to=there)
    assert (ran.code, ran.json["pushed"]) == (0, [])  # not whole any more: nothing is said to be in it


@pytest.mark.parametrize(
    "bend", [lambda path: path.write_bytes(b"x" * path.stat().st_size), lambda path: path.unlink()]
)
@pytest.mark.parametrize("which", ["layer", "top"])
def test_nothing_is_sent_of_an_image_that_rotted(which, bend, feed, cto, home, tmp_path):
    image = Image.write(tmp_path / "layout")
    parts = [{"target": f"oci/{sha}", "url": "", "what": "oci"} for sha in image.blobs]
    next(each for each in parts if each["target"].endswith(image.top))["what"] = "oci pause:3.10"
    for sha, data in image.blobs.items():
        feed.add(f"oci/{sha}", data)
    feed.release("1.14.0", 3, artifacts=parts)
    feed.publish()
    assert cto("update", "stage", "talos-1.14.0", "--from", feed.folder).code == 0
    path = next(home.glob(f"updates/files/*/{image.top if which == 'top' else image.layers[0]}"))
    path.chmod(0o600)
    bend(path)
    with (
        serving(tmp_path) as server,
        open_services(home) as services,
        pytest.raises(RefusedError, match="does not lie ready, or is damaged"),
    ):
        pushing.push(services, server.url, ["talos-1.14.0"])
    assert server.asked == []


@pytest.mark.needs("docker-registry")
def test_a_layer_that_changed_is_refused_by_both_sides(registry, tmp_path):
    image = Image.write(tmp_path, seed=9)
    (tmp_path / "blobs" / "sha256" / image.layers[0]).write_bytes(b"y" * 5000)
    with pytest.raises(TransportError, match=r"answered PUT .* with 400"):
        OciRegistries().push(registry, oci.Reference("bad", "1"), files(image))


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("registry:5000", "no registry's address"),
        ("ftp://registry", "no registry's address"),
        ("http://ada:hunter2@127.0.0.1", "no registry's address"),
        ("http://registry/v2", "no registry's address"),
        ("https://", "no registry's address"),
    ],
)
def test_what_is_no_registry_is_said(url, words, tmp_path):
    with pytest.raises(OperatorError, match=words):
        OciRegistries().push(url, NAME, files(Image.write(tmp_path)))


def test_a_password_is_not_sent_in_clear(tmp_path):
    with pytest.raises(RefusedError, match="not sent over plain HTTP"):
        OciRegistries("ada:hunter2").push("http://192.0.2.1", NAME, files(Image.write(tmp_path)))


def test_a_password_is_sent_where_it_may_be(tmp_path):
    seen = []

    def note(handler):
        seen.append(handler.headers["Authorization"])
        return answer(handler, 401, [("Content-Length", "0"), ("WWW-Authenticate", 'Basic realm="r"')])

    with serving(tmp_path, note) as server, pytest.raises(TransportError) as refused:
        OciRegistries("ada:hunter2").push(server.url, NAME, files(Image.write(tmp_path / "i")))
    assert seen == [None, "Basic YWRhOmh1bnRlcjI="]
    assert "CTO_REGISTRY_LOGIN" in refused.value.fix
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda h: answer(h, 500, [("Content-Length", "3")], b"bad"), "with 500"),
        (lambda h: h.wfile.write(b"SSH-2.0\r\n") or True, "can't be reached"),
    ],
)
def test_a_registry_that_fails_is_named(bend, words, tmp_path):
    with serving(tmp_path, bend) as server, pytest.raises(TransportError, match=words) as failed:
        OciRegistries().push(server.url, NAME, files(Image.write(tmp_path / "i")))
    assert failed.value.where == server.url


def test_nobody_there(tmp_path):
    with pytest.raises(TransportError, match="can't be reached"):
        OciRegistries().push("http://127.0.0.1:1", NAME, files(Image.write(tmp_path)))


def test_blobs_go_to_no_other_server(tmp_path):
    def away(handler):
        if handler.command == "HEAD":
            return answer(handler, 404)
        return answer(handler, 202, [("Location", "http://192.0.2.1/take"), ("Content-Length", "0")])

    with serving(tmp_path, away) as server, pytest.raises(RefusedError, match="another server"):
        OciRegistries().push(server.url, NAME, files(Image.write(tmp_path / "i")))


def test_a_registry_that_keeps_something_else_is_noticed(tmp_path):
    def wrong(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        headers = [("Docker-Content-Digest", "sha256:" + "0" * 64), ("Content-Length", "0")]
        if handler.command == "HEAD":
            return answer(handler, 200, headers)
        return answer(handler, 201, headers)

    with serving(tmp_path, wrong) as server, pytest.raises(RefusedError, match="keeps sha256:0000"):
        OciRegistries().push(server.url, NAME, files(Image.write(tmp_path / "i")))
