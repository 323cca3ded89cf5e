"""An attacker on the same network before anybody is trusted, as a program of its own: says goodbye for others,
announces thousands, copies a token into a hundred machines, and sits at the address of a machine that went away.

Run by test_contact_attacks in a network namespace. Its first line says that it stands in the way, or what it got.
"""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncssh
from zeroconf import IPVersion, Zeroconf, const
from zeroconf._dns import DNSAddress, DNSPointer, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing

from roles.enrollment.node import Node, NodeSide
from roles.enrollment.token import Token
from tests.e2e.enroll_attacker import SSH, pin_of, say, tls
from tests.peers_tls import make_certificate

CONTROLLERS, NODES = "_cto-controller._tcp.local.", "_cto-node._tcp.local."


def answers() -> DNSOutgoing:
    return DNSOutgoing(const._FLAGS_QR_RESPONSE | const._FLAGS_AA)


async def goodbyes(own: str) -> None:
    """Whoever announces itself as a controller is said to leave, fifty times a second."""
    zeroconf = Zeroconf(interfaces=[own], ip_version=IPVersion.V4Only)
    names: set[str] = set()

    def heard(zeroconf, service_type, name, state_change):
        names.add(name)

    from zeroconf import ServiceBrowser

    ServiceBrowser(zeroconf, CONTROLLERS, handlers=[heard])
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    told = False
    while not ended.done():
        for name in list(names):
            out = answers()
            out.add_answer_at_time(DNSPointer(CONTROLLERS, const._TYPE_PTR, const._CLASS_IN, 0, name), 0)
            out.add_answer_at_time(
                DNSService(name, const._TYPE_SRV, const._CLASS_IN | const._CLASS_UNIQUE, 0, 0, 0, 1, "x."),
                0,
            )
            zeroconf.send(out)
            if not told:
                say(json.dumps(name))
                told = True
        await asyncio.sleep(0.02)


async def crowd(own: str, times: str, known: str) -> None:
    """So many machines, each with an address; and the name of one that is known, at the attacker's."""
    zeroconf = Zeroconf(interfaces=[own], ip_version=IPVersion.V4Only)
    say("ready")
    ended = asyncio.ensure_future(asyncio.to_thread(sys.stdin.read))
    names = [known, *(f"m{number:05}" for number in range(int(times)))]
    while not ended.done():
        for name in names:
            full, server = f"{name}.{NODES}", f"{name}.local."
            out, cls = answers(), const._CLASS_IN
            out.add_answer_at_time(DNSPointer(NODES, const._TYPE_PTR, cls, 120, full), 0)
            out.add_answer_at_time(DNSService(full, const._TYPE_SRV, cls, 120, 0, 0, 22, server), 0)
            text = b"\x03v=1\x0denroll_id=ff0"
            out.add_answer_at_time(DNSText(full, const._TYPE_TXT, cls, 120, text), 0)
            address = socket.inet_aton(own)
            out.add_answer_at_time(DNSAddress(server, const._TYPE_A, cls, 120, address), 0)
            zeroconf.send(out)
            await asyncio.sleep(0)


async def swarm(host: str, port: str, token: str, times: str, *own: str) -> None:
    """Machines of its own, each with other keys, prove one stolen token at the same moment."""
    start = asyncio.Event()

    async def one(number: int) -> str:
        here = (own[number % len(own)], 0)
        try:
            reader, writer = await asyncio.open_connection(host, int(port), ssl=tls(), local_addr=here)
            shown = pin_of(writer)
            side = NodeSide(
                Node(f"cto-{number}", os.urandom(32), SSH, {"serial": f"E-{number}"}),
                Token.from_text(token),
                pin=shown,
                shown=shown,
                nonce=os.urandom(32),
            )
            request = side.request((await reader.readline())[:-1]) + b"\n"
            await asyncio.wait_for(start.wait(), 4)
            writer.write(request)
            told = (await reader.readline()).decode()
            writer.close()
        except (OSError, TimeoutError):
            return "cut"
        return str(json.loads(told)["type"]) if told else "cut"

    tasks = [asyncio.ensure_future(one(number)) for number in range(int(times))]
    await asyncio.sleep(2)
    start.set()
    say(json.dumps(await asyncio.gather(*tasks)))


class Nosy(asyncssh.SSHServer):
    """Lets everybody in, and says so: then somebody did not look whom it talks to."""

    def begin_auth(self, username: str) -> bool:
        say(json.dumps(f"somebody authenticates as {username}"))
        return False


async def impostor(address: str) -> None:
    """At the address of a machine that went away, with keys of its own: SSH, and TLS where Talos answers."""
    subprocess.run(["ip", "addr", "replace", f"{address}/24", "dev", "eth0"], check=True)
    ssh = await asyncssh.create_server(
        Nosy, address, 22, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")]
    )
    with tempfile.TemporaryDirectory() as folder:
        crt, key = make_certificate(Path(folder), address)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(crt, key)
        context.set_alpn_protocols(["h2"])

    async def listened(reader, writer):
        """What is said after the handshake was meant for somebody else."""
        try:
            while said := await reader.read(4096):
                if b"PRI * HTTP/2.0" not in said or b"/machine." in said:
                    say(json.dumps(f"somebody asks {said!r}"))
        except (OSError, ssl.SSLError):
            return

    talos = await asyncio.start_server(listened, address, 50000, ssl=context)
    async with ssh, talos:
        say("ready")
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(globals()[sys.argv[1]](*sys.argv[2:]))
