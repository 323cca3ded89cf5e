"""A second machine side, written from docs/enrollment.md alone: it shares no code with ours and gets in all the same."""

import asyncio
import base64
import hashlib
import hmac
import json
import os
import ssl

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from mnemonic import Mnemonic

from controller.app.enrollment import decide

RAW = Encoding.Raw, PublicFormat.Raw


def fields(*values: bytes) -> bytes:
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


def words_of(digest: bytes) -> str:
    number = int.from_bytes(digest, "big") >> (256 - 66)
    words = Mnemonic("english").wordlist
    return "ENROLL " + " ".join(words[number >> shift & 2047] for shift in range(55, -1, -11))


async def enrol(host: str, port: int, token: str, pin: bytes, approved) -> tuple[str, str]:
    """(words, name)"""
    _, token_id, secret = token.split("-")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    reader, writer = await asyncio.open_connection(host, port, ssl=context)
    shown = x509.load_der_x509_certificate(writer.get_extra_info("ssl_object").getpeercert(True))
    spki = shown.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(spki).digest() == pin
    challenge = json.loads(await reader.readline())
    node, host_key, nonce = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate(), os.urandom(32)
    node_key = node.public_key().public_bytes(*RAW)
    ssh_key = fields(b"ssh-ed25519", host_key.public_key().public_bytes(*RAW))
    hardware = {"uuid": "4c4c4544-0042-3510-8052-b4c04f4e3233", "serial": "7XKQ2M3"}
    ids = [text.encode() for pair in sorted(hardware.items()) for text in pair]
    bound = fields(
        b"cto-enroll-v1", token_id.encode(), challenge["controller"].encode(), b"another-1",
        bytes.fromhex(challenge["nonce"]), nonce, pin, node_key, ssh_key, len(hardware).to_bytes(4, "big"), *ids,
    )  # fmt: skip
    key = HKDF(SHA256(), 32, None, b"cto-enroll-v1").derive(base64.b32decode(secret + "======"))

    def mac(side: bytes, text: bytes) -> str:
        return hmac.new(key, side + text, "sha256").hexdigest()

    request = {
        "type": "request", "v": 1, "token": token_id, "node": "another-1", "node_key": node_key.hex(),
        "ssh_key": ssh_key.hex(), "nonce": nonce.hex(), "hardware": hardware, "mac": mac(b"N", bound),
        "signature": node.sign(bound).hex(),
    }  # fmt: skip
    writer.write(json.dumps(request, sort_keys=True, separators=(",", ":")).encode() + b"\n")
    assert json.loads(await reader.readline()) == {"type": "pending", "v": 1, "mac": mac(b"C", bound)}
    while True:
        verdict = json.loads(await reader.readline())
        session = bytes.fromhex(verdict["session"])
        said = fields(verdict["state"].encode(), verdict["name"].encode(), session)
        assert verdict["mac"] == mac(b"V", bound + said)
        assert session == hashlib.sha256(bound).digest()
        if verdict["state"] != "pending":
            writer.close()
            return words_of(session), verdict["name"]
        approved(words_of(session))


async def test_it_gets_in_by_the_page_alone(controller):
    def approve(words):
        row = decide.find(controller.services, words)
        if row.state == "pending":
            decide.approve(controller.services, row.id, actor="ada", name="berlin-w-1")

    async with controller.opened() as place:
        token, pin = controller.token(), base64.b32decode(place_pin(controller, place) + "====")
        words, name = await enrol(place.host, place.port, token, pin, approve)
    (row,) = controller.store.enrollments()
    assert (row.words, row.node, name) == (words, "berlin-w-1", "berlin-w-1")


def place_pin(controller, place):
    """As it stands in the invitation."""
    from dataclasses import replace

    return replace(place, pin=controller.pin).to_text().rpartition("/")[2].upper()
