"""A spoof among two hundred machines is seen in a short look. In a network namespace of its own; needs root.

Other programs hold port 5353 there, too, as avahi-daemon does on many computers: an answer that is sent to the
browser alone may end at any of them.
"""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.needs("ip", "unshare")]

ROOT = Path(__file__).parents[2]
SPOOFED, ELSEWHERE, MACHINES = "m007", "127.9.9.9", 200

RESPONDERS = textwrap.dedent(
    """
    import asyncio, sys
    from iso.lab.mdns import Mdns

    async def main(machines, spoofed, elsewhere):
        mdns = Mdns(problem=print)
        await mdns.start()
        for number in range(machines):
            await mdns.announce(f"m{number:03}", f"127.1.{number // 200}.{number % 200 + 1}", 2222, f"id{number}")
        await mdns.spoof(spoofed, elsewhere, 2222, f"id{int(spoofed[1:])}")
        await asyncio.sleep(4)  # the three packets of each announcement are out: now only questions are answered
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
    """
)
# The pipe `life` ends the responders with the program that was looked with.
STAGE = """
set -e
ip link set lo up multicast on
ip route add 224.0.0.0/4 dev lo
mkfifo "$1/ready" "$1/life"
"$2" -c "$3" "$4" "$5" "$6" < "$1/life" > "$1/ready" &
exec 9> "$1/life"
read word < "$1/ready"
exec "$2" -c "from controller.cli.main import main; main()" discover --seconds 3 --interface lo --output json
"""


def test_a_spoof_is_not_lost_among_many_machines(tmp_path: Path) -> None:
    command = ["unshare", "--net", "--fork", "--kill-child", "sh", "-c", STAGE, "stage"]
    command += [str(tmp_path), sys.executable, RESPONDERS, str(MACHINES), SPOOFED, ELSEWHERE]
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "CTO_HOME": str(tmp_path / "home")}
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout.splitlines()[-1])["seen"]
    assert len(seen) == MACHINES
    conflicts = {each["instance"]: each["conflict"] for each in seen if each["conflict"]}
    assert list(conflicts) == [SPOOFED]
    assert ELSEWHERE in conflicts[SPOOFED]
