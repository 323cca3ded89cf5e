"""An attacker on the same network, as a program of its own: relays, replays, guesses, floods, stalls, lies by mDNS.

Run by test_enroll_attacks in a network namespace. Says "ready" when it stands in the way, and one JSON line at the
end of what it was told.
"""

import asyncio
import json
import os
import ssl
import sys
import tempfile
from pathlib import Path

from controller.adapters.herald import EnrollNetwork
from roles.enrollment.node import Node, NodeSide
from roles.enrollment.token import Token

SSH = bytes.fromhex("0000000b7373682d6564323535313900000020") + b"Q" * 32


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


async def dial(host: str, port: int):
    return await asyncio.open_connection(host, port, ssl=tls(), limit=65536)


def own_tls() -> tuple[ssl.SSLContext, bytes]:
    """A key of the attacker's own, and its pin."""
    from hashlib import sha256

    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from tests.peers_tls import make_certificate

    with tempfile.TemporaryDirectory() as folder:
        crt, key = make_certificate(Path(folder), "evil")
        certificate = crt.read_bytes()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
    public = x509.load_pem_x509_certificate(certificate).public_key()
    return context, sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


async def relay(host: str, port: str, own: str, hint: str, record: str) -> None:
    """Stands in the middle with its own key, and announces itself as the controller."""
    context, pin = own_tls()

    async def between(reader, writer):
        try:
            theirs, back = await dial(host, int(port))
            writer.write(await theirs.readline())
            request = await reader.readline()
            if not request:  # it left without a word
                return
            Path(record).write_bytes(request)
            back.write(request)
            writer.write(await theirs.readline())
            await writer.drain()
        finally:
            writer.close()

    server = await asyncio.start_server(between, own, 7443, ssl=context)

    class Wall:
        def monotonic(self):
            return asyncio.get_running_loop().time()

    network = EnrollNetwork(Wall())
    async with server, network.announce("cto-evil", [(own, 7443)], hint, rivals=lambda _: None):
        say(json.dumps({"pin": pin.hex()}))
        await asyncio.to_thread(sys.stdin.read)


async def babel(own: str, hint: str, times: str) -> None:
    """Announces very many controllers, each with the right hint."""
    import socket

    from zeroconf import IPVersion, ServiceInfo
    from zeroconf.asyncio import AsyncZeroconf

    kind = "_cto-controller._tcp.local."
    zeroconf = AsyncZeroconf(interfaces=[own], ip_version=IPVersion.V4Only)
    for number in range(int(times)):
        info = ServiceInfo(
            kind, f"cto-{number:04}.{kind}", addresses=[socket.inet_aton(own)], port=9000 + number,
            properties={"v": "1", "enroll_id": hint}, server=f"cto-{number:04}.local.",
        )  # fmt: skip
        await zeroconf.async_register_service(info, cooperating_responders=True)
    say("[]")
    await asyncio.to_thread(sys.stdin.read)


async def replay(host: str, port: str, record: str) -> None:
    reader, writer = await dial(host, int(port))
    await reader.readline()
    writer.write(Path(record).read_bytes())
    say(json.dumps([(await reader.readline()).decode()]))
    writer.close()


async def guess(host: str, port: str, token: str, times: str) -> None:
    """The id is right, the secret is not; everything else is done by the book."""
    told = []
    for number in range(int(times)):
        reader, writer = await dial(host, int(port))
        shown = pin_of(writer)
        wrong = Token(Token.from_text(token).id, bytes([number]) * 16)
        side = NodeSide(
            Node("cto-evil", os.urandom(32), SSH, {"serial": "E-1"}), wrong, pin=shown, shown=shown,
            nonce=os.urandom(32),
        )  # fmt: skip
        writer.write(side.request((await reader.readline())[:-1]) + b"\n")
        told.append((await reader.readline()).decode())
        writer.close()
    say(json.dumps(told))


def pin_of(writer) -> bytes:
    from iso.enroll.attempt import _spki

    return _spki(writer)


async def flood(host: str, port: str, times: str) -> None:
    opened = []
    for _ in range(int(times)):
        try:
            opened.append(await asyncio.open_connection(host, int(port)))
        except OSError:
            continue
    say(json.dumps([len(opened)]))
    await asyncio.to_thread(sys.stdin.read)


async def stall(host: str, port: str) -> None:
    """Half-open TLS, and a request that comes letter by letter: how long until each is cut."""
    loop = asyncio.get_running_loop()

    async def half() -> float:
        begun = loop.time()
        reader, _ = await asyncio.open_connection(host, int(port))
        await gone(reader)
        return loop.time() - begun

    async def slow() -> float:
        begun = loop.time()
        reader, writer = await dial(host, int(port))
        await reader.readline()
        ended = asyncio.ensure_future(gone(reader))
        while not ended.done():
            writer.write(b"{")
            await asyncio.wait([ended], timeout=0.5)
        return loop.time() - begun

    say(json.dumps(await asyncio.gather(half(), slow())))


async def gone(reader) -> None:
    try:
        while await reader.read(4096):
            pass
    except (OSError, ssl.SSLError):
        pass


async def oversize(host: str, port: str) -> None:
    reader, writer = await dial(host, int(port))
    await reader.readline()
    try:
        for _ in range(1000):
            writer.write(b"x" * 65536)
            await writer.drain()
    except (OSError, ssl.SSLError):
        pass
    await gone(reader)
    say(json.dumps(["cut"]))


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
