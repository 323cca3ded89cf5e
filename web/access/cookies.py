"""The session's cookie: its name, its attributes, and how it is found in a header. Pure."""

from http.cookies import CookieError, SimpleCookie

_SECURE_NAME, _PLAIN_NAME = "__Host-cto", "cto"


def cookie_name(host: str, *, secure: bool) -> str:
    """With the port: browsers share cookies between the ports of a host, and two controllers may run there.

    `__Host-` makes a browser refuse one that was set without TLS or for a parent domain. Without TLS (only on
    the loopback interface) browsers differ on whether they would keep such a cookie at all.
    """
    name = _SECURE_NAME if secure else _PLAIN_NAME
    _, colon, port = host.rpartition(":")
    return f"{name}-{port}" if colon and port.isdecimal() else name


def cookie_of(header: str, name: str) -> str:
    """Its value in a Cookie header, or nothing."""
    jar: SimpleCookie = SimpleCookie()
    try:
        jar.load(header)
    except CookieError:
        return ""
    return jar[name].value if name in jar else ""
