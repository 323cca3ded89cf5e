"""How a registry is told who we are: by name and password, or by a token that its token server hands out.

Follows the registry's own challenge (RFC 9110, and the distribution project's token specification). A
password leaves this computer over HTTPS only, and never in an address. Keeps nothing after the push.
"""

import base64
import http.client
import ipaddress
import json
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from inventory.errors import OperatorError, RefusedError, TransportError

TIMEOUT = 60  # seconds without an answer
_MAX_TOKEN = 64 * 1024  # bytes of a token server's answer
_PARAMETER = re.compile(r'([a-zA-Z_]+)\s*=\s*"([^"]*)"')
_FIX = "check CTO_REGISTRY_LOGIN, and that this account may push there"


def login_of(environ: Mapping[str, str]) -> str:
    """NAME:PASSWORD from the environment, or from the file that it names; empty if there is none."""
    file = environ.get("CTO_REGISTRY_LOGIN_FILE", "")
    if not file:
        return environ.get("CTO_REGISTRY_LOGIN", "")
    try:
        text = Path(file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            f"the registry's login can't be read: {error}", where=file, fix="write NAME:PASSWORD into it"
        ) from error
    if ":" not in text or "\n" in text:
        raise OperatorError("there is no NAME:PASSWORD in it", where=file, fix="write that as its one line")
    return text


def connect(scheme: str, host: str) -> http.client.HTTPConnection:
    if scheme == "https":
        return http.client.HTTPSConnection(host, timeout=TIMEOUT, context=ssl.create_default_context())
    return http.client.HTTPConnection(host, timeout=TIMEOUT)


def here(host: str) -> bool:
    """Whether it is this computer."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class Login:
    """For one registry and one repository. `login`: "NAME:PASSWORD", or empty."""

    def __init__(self, url: str, repository: str, login: str) -> None:
        self._url, self._repository, self._login = url, repository, login
        self.header = ""  # what is sent as Authorization; empty: nothing was asked for yet

    def answer(self, challenge: str) -> None:
        """Makes `header` what the challenge asks for. Raises if that can't be."""
        scheme, _, rest = challenge.strip().partition(" ")
        parameters = {name.lower(): value for name, value in _PARAMETER.findall(rest)}
        if scheme.lower() == "bearer" and "realm" in parameters:
            self.header = f"Bearer {self._token(parameters)}"
        elif self._login:
            self.header = self._basic()
        else:
            raise TransportError(
                "it wants a name and a password",
                where=self._url,
                fix="set CTO_REGISTRY_LOGIN to NAME:PASSWORD, or CTO_REGISTRY_LOGIN_FILE to a file with it",
            )

    def _basic(self) -> str:
        return f"Basic {base64.b64encode(self._login.encode()).decode()}"

    def _token(self, parameters: Mapping[str, str]) -> str:
        """Asked for by whoever the registry names; without a login it may still hand one out."""
        realm = urlsplit(parameters["realm"])
        where = f"{realm.scheme}://{realm.netloc}"
        if realm.scheme not in ("http", "https") or not realm.hostname or "@" in realm.netloc:
            raise RefusedError("its token server has no usable address", where=self._url, fix=_FIX)
        if realm.scheme == "http" and not here(realm.hostname):
            what = f"its token server {where} speaks plain HTTP"
            raise RefusedError(what, where=self._url, fix="let the registry name an https:// address")
        query = {"scope": f"repository:{self._repository}:pull,push"}
        if "service" in parameters:
            query["service"] = parameters["service"]
        path = f"{realm.path or '/'}?{realm.query + '&' if realm.query else ''}{urlencode(query)}"
        headers = {"User-Agent": "cto", "Accept": "application/json"}
        if self._login:
            headers["Authorization"] = self._basic()
        try:
            with closing(connect(realm.scheme, realm.netloc)) as connection:
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
                status, body = response.status, response.read(_MAX_TOKEN + 1)
        except (OSError, http.client.HTTPException) as error:
            what = f"its token server can't be reached: {error}"
            raise TransportError(what, where=where, fix="check the network and the proxy") from error
        if status != http.client.OK:
            raise TransportError(f"its token server answered with {status}", where=where, fix=_FIX)
        return _token_in(body, where)


def _token_in(body: bytes, where: str) -> str:
    try:
        found = json.loads(body) if len(body) <= _MAX_TOKEN else None
    except (ValueError, RecursionError):
        found = None
    token = (found.get("token") or found.get("access_token")) if isinstance(found, dict) else None
    # It becomes part of a header: nothing that could end one.
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]+", token):
        raise TransportError("its token server's answer holds no token", where=where, fix=_FIX)
    return token
