"""Machine configurations for showing: secrets replaced, differences as a unified diff. Never shows a secret.

It errs on the side of hiding: whatever is called a key, token, password or the like is replaced, wherever it
stands, and so are private keys inside other text and credentials inside URLs. A secret that changed shows as
changed, without a trace of its value. Of a text as long as a manifest file only its hash is shown.
"""

import difflib
import hashlib
import re
from collections.abc import Mapping
from typing import Any

import yaml

from inventory.errors import OperatorError
from roles.yaml_text import dump_all

HIDDEN = "***"
CHANGED = "*** (changed)"
LONG = 64 * 1024

_SECRET_NAMES = frozenset(
    {
        "key",
        "token",
        "secret",
        "password",
        "auth",
        "identitytoken",
        "registrytoken",
        "privatekey",
        "presharedkey",
        "passphrase",
        "secretboxencryptionsecret",
        "aescbcencryptionsecret",
        "bootstraptoken",
    }
)
_SECRET_WORDS = re.compile(
    r"(token|secret|passw|passphrase|apikey|api_key|authkey|private|credential)", re.IGNORECASE
)
_ASSIGNMENT = re.compile(r"^([A-Za-z_][A-Za-z0-9_]*)=(.*)$", re.DOTALL)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_INDEX = re.compile(r"[0-9]*|-")
_USER_INFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")
_QUERY_TOKEN = re.compile(r"(?i)([?&][a-z_]*(?:token|secret|key)=)[^&\s]+")


def redact(text: str) -> str:
    """The same documents with every secret replaced by `***`."""
    return dump_all([_hidden(document, None, compare=False) for document in _documents(text)])


def redact_patch(patch: Mapping[str, Any]) -> str:
    """One patch with every secret replaced. What an operation of RFC 6902 puts somewhere is judged by the
    last name in its path.
    """
    shown = {key: item for key, item in patch.items() if key != "value"} if "op" in patch else patch
    hidden = _hidden(shown, None, compare=False)
    if "op" in patch and "value" in patch:
        names = [part for part in str(patch.get("path", "")).split("/") if not _INDEX.fullmatch(part)]
        name = names[-1].replace("~1", "/").replace("~0", "~") if names else ""
        hidden["value"] = _hidden(patch["value"], None, compare=False, name=name)
    return dump_all([hidden])


def diff(old: str, new: str, old_name: str = "now", new_name: str = "then") -> str:
    """A unified diff of both, redacted; empty if nothing changes."""
    before = _documents(old)
    known = {_identity(document): document for document in before}
    left = dump_all([_hidden(document, None, compare=False) for document in before])
    right = dump_all(
        [_hidden(document, known.get(_identity(document)), compare=True) for document in _documents(new)]
    )
    lines = difflib.unified_diff(left.splitlines(), right.splitlines(), old_name, new_name, lineterm="")
    return "\n".join(lines)


def _documents(text: str) -> list[Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return [document for document in yaml.load_all(text, Loader=loader) if document is not None]
    except yaml.YAMLError:
        # Not chained and without the parser's words: both could quote the secret beside the mistake.
        raise OperatorError("the machine configuration is not YAML", fix="render it again") from None


def _identity(document: Any) -> tuple[Any, ...]:
    return (document.get("kind"), document.get("name")) if isinstance(document, Mapping) else ()


def _hidden(value: Any, old: Any, *, compare: bool, name: str = "") -> Any:
    """`value` without secrets. With `compare`, a secret that is not as in `old` is marked as changed."""
    if isinstance(value, Mapping):
        before = old if isinstance(old, Mapping) else {}
        return {
            key: _hidden(item, before.get(key), compare=compare, name=str(key)) for key, item in value.items()
        }
    if isinstance(value, list):
        previous = old if isinstance(old, list) else []
        padded = [*previous, *([None] * len(value))]
        return [_hidden(item, padded[at], compare=compare, name=name) for at, item in enumerate(value)]
    if not isinstance(value, str | bytes) or not value:
        return value
    shown = _shown(value.decode(errors="replace") if isinstance(value, bytes) else value, name)
    return (
        shown.replace(HIDDEN, CHANGED)
        if compare and old is not None and value != old and HIDDEN in shown
        else shown
    )


def _shown(value: str, name: str) -> str:
    if name.lower() in _SECRET_NAMES or _SECRET_WORDS.search(name):
        return HIDDEN
    if len(value) > LONG:  # a manifest: nobody reads megabytes in a plan, and comparing them takes seconds
        return f"({len(value)} characters, SHA-256 {hashlib.sha256(value.encode()).hexdigest()})"
    assignment = _ASSIGNMENT.match(value)
    if assignment and _SECRET_WORDS.search(assignment[1]):
        return f"{assignment[1]}={HIDDEN}"
    value = _PRIVATE_KEY.sub(HIDDEN, value)
    return _QUERY_TOKEN.sub(rf"\1{HIDDEN}", _USER_INFO.sub(HIDDEN, value))
