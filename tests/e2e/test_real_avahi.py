"""Our browser against a stock avahi-daemon (without D-Bus), in a network namespace of its own. Needs root.

The browser runs as a subprocess inside the namespace, since a namespace belongs to a process.
"""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.needs("avahi-daemon", "ip", "unshare")]

ROOT = Path(__file__).parents[2]
ADDRESS = "10.98.0.1"

BROWSER = textwrap.dedent(
    """
    import asyncio, json, sys, time
    from contextlib import aclosing
    from datetime import UTC, datetime
    from controller.adapters.discovery import MdnsDiscovery

    class Wall:
        def now(self): return datetime.now(UTC)
        def monotonic(self): return time.monotonic()
        async def sleep(self, seconds): await asyncio.sleep(seconds)

    async def main(wanted, interface):
        async with aclosing(MdnsDiscovery(Wall()).watch(seconds=30, interfaces=[interface])) as lists:
            async for seen in lists:
                if len(seen) >= wanted and all(s.enroll_id for s in seen):
                    print(json.dumps([[s.instance, s.addresses, s.port, s.enroll_id, s.conflict] for s in seen]))
                    return

    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
    """
)

SERVICE = """<?xml version="1.0" standalone='no'?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name>{name}</name>
  <service>
    <type>_cto-node._tcp</type><port>{port}</port>
    <txt-record>v=1</txt-record><txt-record>enroll_id={enroll_id}</txt-record>
    <txt-record>role=controlplane</txt-record>
  </service>
</service-group>
"""

# One namespace for the responder and the browser. lo is no multicast interface, so a pair of virtual ones
# is made, of which only the first has an address; what is sent there loops back to both programs.
STAGE = f"""
set -e
mount -t tmpfs tmpfs /run
mkdir -p /run/avahi-daemon
mount --bind "$1/services" /etc/avahi/services
ip link set lo up
ip link add cto0 type veth peer name cto1
ip link set cto1 up
ip addr add {ADDRESS}/24 dev cto0
ip link set cto0 multicast on up
ip route add 224.0.0.0/4 dev cto0
avahi-daemon -f "$1/avahi.conf" --no-drop-root --no-chroot --no-rlimits &
avahi=$!
trap 'kill $avahi' EXIT
"$2" -c "$3" "$4" "$5"
"""


def browse(folder: Path, services: list[dict[str, object]], *, interface: str = "cto0") -> list[list[object]]:
    (folder / "services").mkdir()
    for number, service in enumerate(services):
        (folder / "services" / f"{number}.service").write_text(SERVICE.format(**service))
    (folder / "avahi.conf").write_text(
        "[server]\nhost-name=lab-host\nenable-dbus=no\nuse-ipv6=no\nallow-interfaces=cto0\n"
        "[publish]\npublish-workstation=no\npublish-hinfo=no\n"
    )
    command = ["unshare", "--net", "--mount", "--fork", "--kill-child", "sh", "-c", STAGE, "stage"]
    command += [str(folder), sys.executable, BROWSER, str(len(services)), interface]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    assert out, err.decode()
    return json.loads(out)


def test_a_stock_advertisement_is_seen_with_address_port_and_enroll_id(tmp_path: Path) -> None:
    seen = browse(tmp_path, [{"name": "node-a", "port": 22, "enroll_id": "0a1b2c3d"}])
    assert seen == [["node-a", [ADDRESS], 22, "0a1b2c3d", ""]]


def test_two_names_on_one_address_and_port_are_a_conflict(tmp_path: Path) -> None:
    seen = browse(
        tmp_path,
        [
            {"name": "node-a", "port": 22, "enroll_id": "0a1b2c3d"},
            {"name": "node-b", "port": 22, "enroll_id": "ffffffff"},
        ],
        interface=ADDRESS,
    )
    assert [s[0] for s in seen] == ["node-a", "node-b"]
    assert all("same address and port" in str(s[4]) for s in seen)
