"""The small typed words of a site file: names, addresses, URLs, versions, keys.

Each type checks one value and, when it refuses, says what to write instead. Knows nothing of documents.
"""

import ipaddress
import re
from collections.abc import Callable
from typing import Annotated, Any, NoReturn
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from inventory import openssh, versions
from inventory.errors import OperatorError
from inventory.reach import HOST as _HOST
from inventory.reach import USER as _USER
from inventory.reach import parse_jump

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_LABEL_KEY = re.compile(
    r"([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VERSION = re.compile(r"1\.(0|[1-9][0-9]?)\.(0|[1-9][0-9]{0,2})(-(alpha|beta|rc)\.[0-9]{1,2})?")
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]{64,16384}\n-----END CERTIFICATE-----"
)
_HEX64 = re.compile(r"[0-9a-f]{64}")
_SYSCTL = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_*-]+)+")
_EXTENSION = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)+")
_TAINT = re.compile(
    r"([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?:(NoSchedule|PreferNoSchedule|NoExecute)"
)


def refuse(what: str, fix: str) -> NoReturn:
    """Refuse a value: what is wrong with it, and what to write instead."""
    raise PydanticCustomError("refused", "{what}", {"what": what, "fix": fix})


def quote(value: object) -> str:
    """A value as the message shows it: short, on one line."""
    text = str(value)
    return repr(text if len(text) <= 60 else text[:57] + "…")


def matching(pattern: re.Pattern[str], what: str, fix: str) -> AfterValidator:
    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            refuse(f"{quote(value)} is not {what}", fix)
        return value

    return AfterValidator(check)


def text(pattern: re.Pattern[str] | None, example: str) -> WithJsonSchema:
    schema: dict[str, Any] = {"type": "string", "examples": [example]}
    if pattern is not None:
        schema["pattern"] = f"^(?:{pattern.pattern})$"
    return WithJsonSchema(schema)


def checked(check: Callable[[str], str], example: str, pattern: re.Pattern[str] | None = None) -> Any:
    return (AfterValidator(check), text(pattern, example))


def ip_or_none(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def _address(value: str) -> str:
    found = ip_or_none(value)
    if found is not None:
        if found.is_unspecified or found.is_multicast or "%" in value:
            refuse(f"{quote(value)} is not the address of one machine", "write an address such as 10.0.0.11")
        return str(found)  # one spelling, so that equal addresses are seen to be equal
    host, _, port = value.rpartition(":")
    if "//" in value:
        refuse(f"{quote(value)} is a URL, not an address", "write only the host, such as 10.0.0.11")
    if port.isdigit() and (ip_or_none(host) or _HOST.fullmatch(host)):
        refuse(f"{quote(value)} holds a port", f"write `{host}` here and the port in sshPort")
    if "/" in value:
        refuse(f"{quote(value)} holds a prefix length", f"write only the address: {value.partition('/')[0]}")
    return _host(value)


def _host(value: str) -> str:
    if ip_or_none(value):
        return value
    if re.fullmatch(r"[0-9.]+", value) or not _HOST.fullmatch(value):
        refuse(
            f"{quote(value)} is neither an IP address nor a host name",
            "write an address such as 10.0.0.11 or fd00::11, or a DNS name in lower case",
        )
    return value


def _ip(value: str) -> str:
    if not ip_or_none(value):
        refuse(f"{quote(value)} is not an IP address", "write an address such as 10.0.0.53 or fd00::53")
    return value


def _cidr(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        fix = "write a network such as 10.244.0.0/16"
        if "host bits" in str(error):
            fix = f"write {ipaddress.ip_network(value, strict=False)}"
        refuse(f"{quote(value)} is not a network", fix)
    if "/" not in value:
        refuse(f"{quote(value)} has no prefix length", f"write {value}/16 or whatever its length is")
    return value


def _interface_cidr(value: str) -> str:
    try:
        ipaddress.ip_interface(value)
    except ValueError:
        refuse(f"{quote(value)} is not an address with a prefix length", "write it like 10.0.0.11/24")
    if "/" not in value:
        refuse(
            f"{quote(value)} has no prefix length", f"write {value}/24 or whatever the network's length is"
        )
    return value


def _talos(value: str) -> str:
    plain = value.removeprefix("v")
    if not _VERSION.fullmatch(plain):
        refuse(f"{quote(value)} is not a Talos version", "write all three numbers, such as 1.13.9")
    if plain != value:
        refuse(f"{quote(value)} begins with a v", f"write {plain}")
    if not versions.FIRST_TALOS <= versions.minor(value) <= versions.LAST_TALOS:
        supported = f"1.{versions.FIRST_TALOS} to 1.{versions.LAST_TALOS}"
        refuse(f"Talos {value} is not supported", f"use a version from {supported}")
    return value


def _kubernetes(value: str) -> str:
    plain = value.removeprefix("v")
    if not _VERSION.fullmatch(plain):
        refuse(f"{quote(value)} is not a Kubernetes version", "write all three numbers, such as 1.36.3")
    if plain != value:
        refuse(f"{quote(value)} begins with a v", f"write {plain}")
    return value


def _host_key(value: str) -> str:
    try:
        return openssh.normalize(value)
    except OperatorError as error:
        refuse(error.what, error.fix)


def _jump(value: str) -> str:
    try:
        parse_jump(value)
    except OperatorError as error:
        refuse(f"{quote(value)} is not a jump host", error.fix)
    return value


def _url(value: str) -> str:
    parts = _split_url(value)
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname:
        refuse(f"{quote(value)} is not a web address", "write it like https://mirror.example.com:5000")
    if parts.username or parts.password:
        refuse(
            "the web address holds a user name or password",
            "leave it out: site files are shared, and secrets do not belong in them",
        )
    return value


def _registry(value: str) -> str:
    host, _, port = value.rpartition(":")
    named = host if port.isdigit() and 0 < int(port) < 65536 else value
    if value != "*" and not _HOST.fullmatch(named) and not ip_or_none(named):
        refuse(
            f"{quote(value)} is not an image registry",
            "write its host, such as docker.io, or * for all others",
        )
    return value


def _certificate(value: str) -> str:
    """The shape only; what is in it is read when it is used."""
    if not _CERTIFICATE.fullmatch(value.strip()):
        fix = "write its PEM text below a `|`, from BEGIN CERTIFICATE to END CERTIFICATE, and no key"
        refuse("this is not one certificate", fix)
    return value


def _image_url(value: str) -> str:
    if value.startswith("/"):
        return value
    if value.startswith("file:///"):
        return value
    if "://" not in value or value.startswith("file:"):
        refuse(f"{quote(value)} is not an image location", "write https://…, file:///… or an absolute path")
    return _url(value)


def _factory(value: str) -> str:
    """A service, or a folder whose files lie where the service has them."""
    return value if value.startswith(("/", "file:///")) else _url(value)


def _endpoint(value: str) -> str:
    parts = _split_url(value)
    example = "write it like https://10.0.0.10:6443"
    if parts is None or parts.scheme != "https" or not parts.hostname:
        refuse(f"{quote(value)} is not an endpoint", example)
    if parts.port is None:
        refuse(f"{quote(value)} has no port", f"write {value.rstrip('/')}:6443")
    if parts.path not in {"", "/"} or parts.query or parts.fragment or parts.username:
        refuse(f"{quote(value)} is more than a host and a port", example)
    _host(parts.hostname)
    return value.rstrip("/")


def _split_url(value: str) -> Any:
    """The parts of a URL, or None where it is malformed (also a port out of range)."""
    if re.search(r"[\s\\]", value):
        return None
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _as_text(value: Any) -> Any:
    """Whole numbers are text here (`net.core.somaxconn: 4096`)."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_NAME_FIX = "use lower-case letters, digits and hyphens, at most 63, with a letter or digit at both ends"
Name = Annotated[str, matching(_LABEL, "a name", _NAME_FIX), text(_LABEL, "berlin")]
Address = Annotated[str, *checked(_address, "10.0.0.11")]
Host = Annotated[str, *checked(_host, "ntp.example.com")]
Ip = Annotated[str, *checked(_ip, "10.0.0.53")]
Cidr = Annotated[str, *checked(_cidr, "10.244.0.0/16")]
InterfaceCidr = Annotated[str, *checked(_interface_cidr, "10.0.0.11/24")]
Port = Annotated[int, Field(ge=1, le=65535)]
User = Annotated[
    str, matching(_USER, "a user name", "use lower-case letters, such as root"), text(_USER, "root")
]
Jump = Annotated[str, *checked(_jump, "ops@bastion.example.com:22")]
HostKey = Annotated[str, *checked(_host_key, "ssh-ed25519 AAAAC3Nza…")]
TalosVersion = Annotated[str, *checked(_talos, "1.13.9", _VERSION)]
KubernetesVersion = Annotated[str, *checked(_kubernetes, "1.36.3", _VERSION)]
Registry = Annotated[str, AfterValidator(_registry)]
RegistryHost = Annotated[
    Registry, matching(re.compile(r"[^*]+"), "one registry", "name each host of its own, such as mirror:5000")
]
Certificate = Annotated[str, *checked(_certificate, "-----BEGIN CERTIFICATE-----…")]
Url = Annotated[str, *checked(_url, "https://mirror.example.com")]
Factory = Annotated[str, *checked(_factory, "https://mirror.example.com")]
ImageUrl = Annotated[str, *checked(_image_url, "https://factory.talos.dev/…/metal-amd64.raw.zst")]
Endpoint = Annotated[str, *checked(_endpoint, "https://10.0.0.10:6443")]
_HEX_FIX = "write its 64 hexadecimal digits in lower case"
Sha256 = Annotated[str, matching(_HEX64, "a SHA-256", _HEX_FIX), text(_HEX64, "9f86d081884c7d65…")]
Schematic = Annotated[str, matching(_HEX64, "a schematic id", _HEX_FIX), text(_HEX64, "376567988ad37013…")]
_EXTENSION_FIX = "write owner and name, such as siderolabs/iscsi-tools"
Extension = Annotated[
    str,
    matching(_EXTENSION, "a system extension", _EXTENSION_FIX),
    text(_EXTENSION, "siderolabs/iscsi-tools"),
]
_KEY_FIX = "use letters, digits, hyphens, dots and underscores, with an optional prefix: example.com/name"
LabelKey = Annotated[str, matching(_LABEL_KEY, "a label key", _KEY_FIX)]
_VALUE_FIX = "use at most 63 letters, digits, hyphens, dots and underscores"
LabelValue = Annotated[
    str,
    BeforeValidator(_as_text),
    matching(_LABEL_VALUE, "a label value", _VALUE_FIX),
    text(_LABEL_VALUE, "eu"),
]
_TAINT_FIX = "write value:Effect, the effect being NoSchedule, PreferNoSchedule or NoExecute"
Taint = Annotated[str, matching(_TAINT, "a taint", _TAINT_FIX), text(_TAINT, "gpu:NoSchedule")]
_SYSCTL_FIX = "write it like net.core.somaxconn"
SysctlKey = Annotated[str, matching(_SYSCTL, "a kernel setting", _SYSCTL_FIX)]
SysctlValue = Annotated[
    str, BeforeValidator(_as_text), WithJsonSchema({"type": ["string", "integer"], "examples": ["4096"]})
]
