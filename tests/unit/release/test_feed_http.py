"""A feed on a web server: a real one on a loopback address, which may be slow, broken or hostile."""

import threading
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from controller.adapters.feed import TufFeeds
from controller.adapters.feed_source import Patience
from controller.app.feed_port import TargetInfo
from inventory.errors import OperatorError, RefusedError, TransportError
from tests.unit.release.conftest import IMAGE


class Server(SimpleHTTPRequestHandler):
    """`server.bend(handler)` answers instead where it returns True; `server.asked` has the paths and ranges."""

    def do_GET(self):
        self.server.asked.append((self.path, self.headers.get("Range", "")))
        if not self.server.bend(self):
            super().do_GET()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the names that http.server looks for

    def log_message(self, *args):
        pass


@contextmanager
def serving(folder, bend=lambda handler: False):
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(folder))) as server:
        server.asked, server.bend, server.ended = [], bend, threading.Event()
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        server.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()


def answer(handler, status, headers=(), body=b""):
    handler.send_response(status)
    for name, value in headers:
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)
    return True


def only(part, does):
    return lambda handler: does(handler) if part in handler.path else False


def test_checked_staged_and_bundled_from_a_web_server(feed, cto, tmp_path):
    with serving(feed.folder) as server:
        home = tmp_path / "new"
        words = ("trust", feed.first_root, "--url", server.url + "/", "--yes")
        assert cto("update", *words, to=home).code == 0
        ran = cto("update", "check", "--output", "json", to=home)
        assert ran.json["new"] == ["talos-1.13.8", "talos-1.13.9"]
        ran = cto("update", "stage", "talos-1.13.9", to=home)
        assert ran.code == 0, ran.err
        (path,) = home.glob("updates/files/*/*")
        assert path.read_bytes() == IMAGE
        assert cto("bundle", "create", tmp_path / "out", "--release", "talos-1.13.9", to=home).code == 0
        before = len(server.asked)
        assert cto("update", "check", to=home).code == 0
        asked = [path for path, _ in server.asked[before:]]
        assert not [path for path in asked if "/targets/" in path]  # what is known is not fetched again


def test_a_redirect_is_followed_and_changes_nothing_of_what_is_demanded(feed, cto):
    with serving(feed.folder) as real:

        def away(handler):
            return answer(handler, 302, [("Location", real.url + handler.path), ("Content-Length", "0")])

        with serving(feed.folder, away) as server:
            assert cto("update", "check", "--from", server.url).code == 0


def test_a_redirect_without_end_is_left(feed, cto, state):
    before = state()
    with serving(
        feed.folder, lambda h: answer(h, 302, [("Location", h.path), ("Content-Length", "0")])
    ) as server:
        ran = cto("update", "check", "--from", server.url)
    assert ran.code == 4
    assert state() == before


def cut(handler):
    """Promises more than it sends."""
    return answer(handler, 200, [("Content-Length", "5000")], b"{")


def cut_chunk(handler):
    return answer(handler, 200, [("Transfer-Encoding", "chunked")], b"50\r\n{")


@pytest.mark.parametrize(
    ("bend", "words"),
    [
        (lambda h: answer(h, 500, [("Content-Length", "0")]), "500"),
        (only("timestamp", lambda h: answer(h, 404, [("Content-Length", "0")])), "404"),
        (only("timestamp", cut), "broke off"),
        (only("timestamp", cut_chunk), "can't be read"),
        (only("snapshot", lambda h: h.connection.close() or True), "can't be read"),
        (lambda h: h.wfile.write(b"SSH-2.0-OpenSSH\r\n") or True, "can't be read"),
    ],
)
def test_a_server_that_fails_is_not_the_feed(bend, words, feed, cto, state):
    feed.publish()
    before = state()
    with serving(feed.folder, bend) as server:
        ran = cto("update", "check", "--from", server.url)
    assert ran.code == 4, ran.err
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert state() == before


def test_nobody_listens(cto, state):
    before = state()
    ran = cto("update", "check", "--from", "http://127.0.0.1:1")
    assert ran.code == 4
    assert state() == before


def endless(handler):
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.ended.is_set():
        try:
            handler.wfile.write(b" " * 65536)
        except OSError:
            break
    return True


def test_endless_data_is_cut_off(feed, cto, state):
    before = state()
    with serving(feed.folder, only("timestamp", endless)) as server:
        ran = cto("update", "check", "--from", server.url)
    assert ran.code == 2
    assert "more than may come" in ran.err
    assert state() == before


def trickle(handler):
    """A byte at a time, for ever: each comes well before any time-out."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.ended.wait(0.01):
        try:
            handler.wfile.write(b" ")
        except OSError:
            break
    return True


IMPATIENT = Patience(seconds=0.1, least=1000)


def test_a_trickle_of_metadata_is_given_up(feed, tmp_path):
    feeds = TufFeeds(tmp_path / "metadata", IMPATIENT)
    root = feed.first_root.read_bytes()
    with (
        serving(feed.folder, only("timestamp", trickle)) as server,
        pytest.raises(TransportError, match=r"sends less than 1000 bytes in 0\.1 s"),
        feeds.look(server.url, root),
    ):
        pass


def image_of(feed):
    name = next(name for name in feed.targets.targets if name.endswith(".zst"))
    return TargetInfo(name, len(IMAGE), feed.targets.targets[name].hashes["sha256"])


def test_a_trickle_of_an_image_is_given_up_and_gone_on_with(feed, tmp_path):
    feeds, to = TufFeeds(tmp_path / "metadata", IMPATIENT), tmp_path / "image"

    def half(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(IMAGE)))
        handler.end_headers()
        handler.wfile.write(IMAGE[:4000])
        return trickle_on(handler)

    def trickle_on(handler):
        for byte in IMAGE[4000:]:
            if handler.server.ended.wait(0.02):
                break
            try:
                handler.wfile.write(bytes([byte]))
            except OSError:
                break
        return True

    with serving(feed.folder, half) as server, pytest.raises(TransportError, match="sends less than"):
        feeds.download(server.url, image_of(feed), to, lambda done, total: None)
    assert not to.exists()
    assert (tmp_path / "image.new.part").stat().st_size >= 4000

    def rest(handler):
        start = int(handler.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        return answer(handler, 206, [("Content-Length", str(len(IMAGE) - start))], IMAGE[start:])

    with serving(feed.folder, rest) as server:
        feeds.download(server.url, image_of(feed), to, lambda done, total: None)
        assert server.asked[0][1].startswith("bytes=4")
    assert to.read_bytes() == IMAGE


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (IMAGE + b"x", "longer than it may be"),
        (b"y" * len(IMAGE), "not the file"),
        (IMAGE[:-1], "not the file"),
    ],
)
def test_another_image_is_refused_and_nothing_of_it_is_kept(body, words, feed, tmp_path):
    feeds, to = TufFeeds(tmp_path / "metadata"), tmp_path / "files" / "image"
    with (
        serving(feed.folder, lambda h: answer(h, 200, [("Content-Length", str(len(body)))], body)) as server,
        pytest.raises(RefusedError, match=words),
    ):
        feeds.download(server.url, image_of(feed), to, lambda done, total: None)
    assert list((tmp_path / "files").iterdir()) == []


def test_no_more_is_copied_than_was_signed(feed, tmp_path):
    info, seen = image_of(feed), []
    path = feed.file(info.path)
    with path.open("ab") as file:
        file.truncate(1024**4)  # takes no room, as long as nobody copies it
    with pytest.raises(RefusedError, match="longer than it may be"):
        TufFeeds(tmp_path / "metadata").download(
            str(feed.folder), info, tmp_path / "files" / "image", lambda done, total: seen.append(done)
        )
    assert seen == []
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize("words", [("check", "--from"), ("stage", "talos-1.13.9", "--from")])
def test_an_address_holds_no_password(words, cto):
    ran = cto("update", *words, "https://ada:hunter2@feed.example/x")
    assert ran.code == 2
    assert "hunter2" not in ran.err + ran.out


def test_an_address_with_a_password_is_not_kept(feed, cto, home):
    ran = cto("update", "trust", feed.first_root, "--url", "https://ada:hunter2@feed.example", "--yes")
    assert ran.code == 2
    assert b"hunter2" not in (home / "fleet.db").read_bytes()


@pytest.mark.parametrize("url", ["ftp://x/y", "gopher://x", "file://elsewhere/x"])
def test_other_schemes_are_refused(url, cto):
    ran = cto("update", "check", "--from", url)
    assert ran.code == 2
    assert "can't be fetched" in ran.err


def test_two_at_once_do_not_meet(feed, tmp_path):
    feeds, root = TufFeeds(tmp_path / "m"), feed.first_root.read_bytes()
    with (
        feeds.look(str(feed.folder), root),
        pytest.raises(Exception, match="another command reads"),
        feeds.look(str(feed.folder), root),
    ):
        pass


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"null", b"\xff", b"[" * 100_000])
def test_what_is_no_root_is_not_trusted(data, tmp_path):
    with pytest.raises(OperatorError, match="not root metadata"):
        TufFeeds(tmp_path).root_keys(data)


def test_root_metadata_must_be_signed_by_itself(feed, tmp_path):
    from tests.peers_feed import key

    feeds = TufFeeds(tmp_path)
    assert feeds.root_keys(feed.signed("root"))[0] == 2
    for bad in (
        feed.signed("root", key()),
        feed.signed("root", feed.signers["root"][0]),
        feed.signed("targets"),
    ):
        with pytest.raises(OperatorError, match="not root metadata"):
            feeds.root_keys(bad)
