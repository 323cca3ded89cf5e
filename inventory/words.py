"""Six words that a person can compare: the same on a machine's console and on the operator's screen.

The words carry 66 bits of a hash of the SSH host key, 11 bits a word, from the English list of BIP-39.
Comparing them is the operator's act; nothing here decides on trust.
"""

import hashlib
import re
from functools import cache
from importlib.resources import files

from inventory.openssh import parse_public_key

LABEL = "KEY"
_DOMAIN = b"cto-hostkey-words-v1"
_LABELS = ("key", "enroll")  # in small letters
_WORDS, _BITS = 6, 11


def key_words(public_key_line: str) -> str:
    """`KEY` and the six words of a host key given as an OpenSSH public key line."""
    return key_words_of_blob(parse_public_key(public_key_line).blob)


def key_words_of_blob(blob: bytes) -> str:
    """As `key_words`, from the wire form of the key."""
    return f"{LABEL} {' '.join(encode(hashlib.sha256(_DOMAIN + blob).digest()))}"


def encode(digest: bytes) -> tuple[str, ...]:
    """The first 66 bits of a digest, big-endian, as six words."""
    bits = int.from_bytes(digest, "big") >> (len(digest) * 8 - _WORDS * _BITS)
    shifts = range((_WORDS - 1) * _BITS, -1, -_BITS)
    return tuple(wordlist()[(bits >> shift) & (2**_BITS - 1)] for shift in shifts)


def same_words(a: str, b: str) -> bool:
    """Are these the same six words? Case, spaces and punctuation do not matter, nor a label left out.

    Anything but exactly six words of the list is never the same as anything, and words of a host key are
    not those of an enrolment.
    """
    (label, first), (other, second) = _normal(a), _normal(b)
    return bool(first) and first == second and (not label or not other or label == other)


def _normal(text: str) -> tuple[str, tuple[str, ...]]:
    """(label, six words), each empty if there is none."""
    words = tuple(re.findall(r"[a-z]+", text.casefold()))
    label = ""
    # Both labels are words of the list too, so they are labels only where a seventh word stands.
    if len(words) == _WORDS + 1 and words[0] in _LABELS:
        label, words = words[0], words[1:]
    known = set(wordlist())
    return label, words if len(words) == _WORDS and all(word in known for word in words) else ()


@cache
def wordlist() -> tuple[str, ...]:
    """The 2,048 English words of BIP-39, in their order."""
    text = (files("mnemonic") / "wordlist" / "english.txt").read_text(encoding="utf-8")
    return tuple(text.split())
