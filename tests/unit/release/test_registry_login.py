"""Registries that want to know who pushes: Debian's with a password file and with a token server, and hostile ones.

The token server is a small real one here: it signs what it grants, and the registry checks that by itself.
"""

import base64
import json
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from controller.adapters.registry import OciRegistries
from controller.adapters.registry_login import login_of
from controller.core.release import oci
from inventory.errors import OperatorError, RefusedError, TransportError
from tests.peers_oci import Image
from tests.unit.release.test_feed_http import answer, serving
from tests.unit.release.test_registry import NAME, files, started

# bcrypt of "a password", made by crypt(3): composed.
HTPASSWD = "ada:$2b$05$abcdefghijklmnopqrstuu2sM.EEHj4jPcCa5rwqJGg1PNBllkZXy\n"
LOGIN = "ada:a password"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    (folder / "users").write_text(HTPASSWD)
    with started(folder, f"auth: {{htpasswd: {{realm: here, path: {folder}/users}}}}\n") as url:
        yield url


@pytest.mark.needs("docker-registry")
def test_a_name_and_a_password(guarded, tmp_path):
    image = Image.write(tmp_path)
    assert OciRegistries(LOGIN).push(guarded, NAME, files(image)) == sum(map(len, image.blobs.values()))
    with pytest.raises(TransportError, match="does not take this name and password"):
        OciRegistries("ada:another").push(guarded, NAME, files(image))
    with pytest.raises(TransportError, match="wants a name and a password") as refused:
        OciRegistries().push(guarded, NAME, files(image))
    assert "CTO_REGISTRY_LOGIN_FILE" in refused.value.fix


class TokenServer(BaseHTTPRequestHandler):
    """Grants to ada what she asks for, for as long as `server.seconds` says."""

    def do_GET(self):
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        self.server.asked.append(query)
        known = base64.b64encode(LOGIN.encode()).decode()
        if self.headers.get("Authorization") != f"Basic {known}":
            answer(self, 401, [("Content-Length", "0")])
            return
        kind, name, actions = query["scope"].split(":")
        access = [{"type": kind, "name": name, "actions": actions.split(",")}]
        body = json.dumps({"token": self.server.sign(query["service"], access)}).encode()
        answer(self, 200, [("Content-Length", str(len(body)))], body)

    def log_message(self, *args):
        pass


@contextmanager
def token_server(folder):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "tokens")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1))
    made = builder.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "tokens.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    chain = [base64.b64encode(made.public_bytes(serialization.Encoding.DER)).decode()]

    def packed(data):
        raw = data if isinstance(data, bytes) else json.dumps(data).encode()
        return base64.urlsafe_b64encode(raw).rstrip(b"=")

    def sign(audience, access):
        at = int(datetime.now(UTC).timestamp())
        head = {"typ": "JWT", "alg": "RS256", "x5c": chain}
        claims = {"iss": "test", "sub": "ada", "aud": audience, "exp": at + 300, "nbf": at - 60, "iat": at}
        text = packed(head) + b"." + packed({**claims, "jti": "1", "access": access})
        return (text + b"." + packed(key.sign(text, padding.PKCS1v15(), hashes.SHA256()))).decode()

    with ThreadingHTTPServer(("127.0.0.1", 0), TokenServer) as server:
        server.asked, server.sign, server.daemon_threads = [], sign, True
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.needs("docker-registry")
def test_a_token_of_the_registrys_token_server(tmp_path):
    image = Image.write(tmp_path / "image", platforms=2)
    with token_server(tmp_path) as tokens:
        auth = (
            f"auth: {{token: {{realm: 'http://127.0.0.1:{tokens.server_port}/token', service: ours,"
            f" issuer: test, rootcertbundle: {tmp_path}/tokens.pem}}}}\n"
        )
        with started(tmp_path, auth) as url:
            name = oci.Reference("k8s/pause", "3.10")
            sent = OciRegistries(LOGIN).push(url, name, files(image))
            assert sent == sum(map(len, image.blobs.values()))
            assert tokens.asked == [{"service": "ours", "scope": "repository:k8s/pause:pull,push"}]
            with pytest.raises(TransportError, match="token server answered with 401"):
                OciRegistries("eve:a password").push(url, name, files(image))


def challenged(realm):
    headers = [("Content-Length", "0"), ("WWW-Authenticate", f'Bearer realm="{realm}",service="s"')]
    return lambda handler: answer(handler, 401, headers)


@pytest.mark.parametrize(
    ("realm", "words"),
    [
        ("http://192.0.2.1/token", "speaks plain HTTP"),
        ("ftp://127.0.0.1/token", "no usable address"),
        ("https://ada@127.0.0.1/token", "no usable address"),
        ("/token", "no usable address"),
    ],
)
def test_a_password_goes_to_no_token_server_that_could_be_anybody(realm, words, tmp_path):
    with serving(tmp_path, challenged(realm)) as server, pytest.raises(RefusedError, match=words):
        OciRegistries(LOGIN).push(server.url, NAME, files(Image.write(tmp_path / "i")))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"token": 7}',
        b'{"token": "a\\r\\nb"}',
        b'{"token": ""}',
        b'{"token": "' + b"x" * 70000,
    ],
)
def test_an_answer_without_a_token_is_said(body, tmp_path):
    def token(handler):
        return answer(handler, 200, [("Content-Length", str(len(body)))], body)

    with (
        serving(tmp_path, token) as tokens,
        serving(tmp_path, challenged(f"{tokens.url}/token")) as server,
        pytest.raises(TransportError, match="holds no token") as failed,
    ):
        OciRegistries(LOGIN).push(server.url, NAME, files(Image.write(tmp_path / "i")))
    assert "password" not in str(failed.value)


def test_a_token_that_ends_in_the_middle_is_asked_for_again(tmp_path):
    """Half of all requests find the token used up."""
    image, seen = Image.write(tmp_path / "i"), []

    def once(handler):
        handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        shown = handler.headers["Authorization"]
        if shown is None or shown in seen:
            return challenged(f"{tokens.url}/token")(handler)
        seen.append(shown)
        return answer(handler, 200 if handler.command == "HEAD" else 201, [("Content-Length", "0")])

    def token(handler):
        body = json.dumps({"access_token": f"t{len(seen)}"}).encode()
        return answer(handler, 200, [("Content-Length", str(len(body)))], body)

    with serving(tmp_path, token) as tokens, serving(tmp_path, once) as server:
        OciRegistries().push(server.url, NAME, files(image))
    assert len(seen) == len(set(seen)) > 2


def test_the_login_comes_from_the_environment_or_a_file(tmp_path):
    assert login_of({}) == ""
    assert login_of({"CTO_REGISTRY_LOGIN": "a:b"}) == "a:b"
    file = tmp_path / "login"
    file.write_text("ada:pass:word\n")
    assert login_of({"CTO_REGISTRY_LOGIN_FILE": str(file), "CTO_REGISTRY_LOGIN": "a:b"}) == "ada:pass:word"
    for wrong in ("", "no colon", "a:b\nc:d"):
        file.write_text(wrong)
        with pytest.raises(OperatorError, match="no NAME:PASSWORD"):
            login_of({"CTO_REGISTRY_LOGIN_FILE": str(file)})
    with pytest.raises(OperatorError, match="can't be read"):
        login_of({"CTO_REGISTRY_LOGIN_FILE": str(tmp_path)})
