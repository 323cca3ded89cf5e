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
    """Are these the same six words? Case, spaces, punctuation and the label do not matter.

    Anything but exactly six words of the list is never the same as anything.
    """
    first, second = _normal(a), _normal(b)
    return first is not None and first == second


def _normal(text: str) -> tuple[str, ...] | None:
    words = tuple(re.findall(r"[a-z]+", text.casefold()))
    # "key" is a word of the list too, so it is the label only where a seventh word stands.
    if len(words) == _WORDS + 1 and words[0] == LABEL.casefold():
        words = words[1:]
    known = set(wordlist())
    return words if len(words) == _WORDS and all(word in known for word in words) else None


@cache
def wordlist() -> tuple[str, ...]:
    """The 2,048 English words of BIP-39, in their order."""
    text = (files("mnemonic") / "wordlist" / "english.txt").read_text(encoding="utf-8")
    return tuple(text.split())
