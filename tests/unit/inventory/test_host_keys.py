"""Host keys: what OpenSSH writes is understood, anything else is refused, words and fingerprints agree with it."""

import base64
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inventory.errors import OperatorError
from inventory.openssh import fingerprint, normalize, parse_public_key
from inventory.words import key_words, same_words, wordlist

FIXTURE = json.loads(
    (Path(__file__).parents[2] / "fixtures/sites/host_keys.json").read_text(encoding="utf-8")
)
KEYS = FIXTURE["keys"]
ED25519 = next(key["line"] for key in KEYS if key["line"].startswith("ssh-ed25519"))


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key["line"].split()[0])
def test_fingerprints_are_those_of_ssh_keygen(key):
    assert fingerprint(key["line"]) == key["fingerprint"]


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key["line"].split()[0])
def test_words_are_the_first_66_bits_of_the_hash(key):
    assert key_words(key["line"]) == key["words"]


def test_the_normal_form_has_no_comment_and_is_stable():
    line = normalize(f"  {ED25519}  \n")
    assert line == " ".join(ED25519.split()[:2])
    assert normalize(line) == line


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("", "not an OpenSSH public key"),
        ("ssh-ed25519", "not an OpenSSH public key"),
        (f"berlin-cp-1 {ED25519}", "known_hosts line"),
        (ED25519.replace("AAAA", "AAA", 1), "base64 is damaged"),
        (ED25519.replace("ssh-ed25519", "ssh-rsa", 1), "not of type ssh-rsa"),
        (f"{ED25519}\n{ED25519}", "not an OpenSSH public key"),
        (FIXTURE["weak"], "fewer than 2048 bits"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAAA==", "incomplete or damaged"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "private key"),
    ],
)
def test_other_lines_are_refused(line, what):
    with pytest.raises(OperatorError, match=what) as caught:
        parse_public_key(line)
    assert caught.value.fix


def refused(line):
    try:
        parse_public_key(line)
    except OperatorError as error:
        return bool(error.fix)
    return False


@given(st.binary(max_size=80))
def test_a_damaged_blob_is_refused(junk):
    blob = b"\x00\x00\x00\x0bssh-ed25519" + junk
    sound = len(junk) == 36 and junk[:4] == b"\x00\x00\x00\x20"
    assert refused("ssh-ed25519 " + base64.b64encode(blob).decode()) != sound


@given(st.text())
def test_any_text_that_is_no_key_is_refused_with_a_fix(text):
    assert refused(text)


def test_the_list_is_the_standard_one():
    assert len(wordlist()) == len(set(wordlist())) == 2048
    assert (wordlist()[0], wordlist()[-1]) == ("abandon", "zoo")


@pytest.mark.parametrize("typed", ["{}", "  {}  ", "{}\n", "{}."])
def test_how_words_are_typed_does_not_matter(typed):
    said = key_words(ED25519)
    assert same_words(said, typed.format(said.lower().replace(" ", "  ")))
    assert same_words(said, typed.format(said.removeprefix("KEY ").upper().replace(" ", "-")))


def test_different_or_incomplete_words_are_never_the_same():
    said = key_words(ED25519)
    words = said.split()[1:]
    assert not same_words(said, " ".join(words[:5]))
    assert not same_words(said, " ".join([*words, "zoo"]))
    assert not same_words(said, " ".join([*words[:5], "zoo"]))
    assert not same_words(said, " ".join(reversed(words)))
    assert not same_words(said, f"ENROLL {' '.join(words)}")
    assert not same_words("", "")
    assert not same_words("x x x x x x", "x x x x x x")


def test_key_is_also_a_word_of_the_list():
    six = "key zoo zoo zoo zoo zoo"
    assert same_words(six, f"KEY {six}")
    assert not same_words(six, "zoo zoo zoo zoo zoo")
