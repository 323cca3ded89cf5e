"""Run by test_process in a process of its own: pyinfra's stock SSH connector against one machine. Prints JSON."""

from gevent import monkey

monkey.patch_all()

import json  # noqa: E402
import sys  # noqa: E402

from pyinfra.api import Config, Inventory, State  # noqa: E402
from pyinfra.api.connect import connect_all  # noqa: E402
from pyinfra.api.facts import get_facts  # noqa: E402
from pyinfra.api.operation import add_op  # noqa: E402
from pyinfra.api.operations import run_ops  # noqa: E402
from pyinfra.facts.files import File  # noqa: E402
from pyinfra.facts.hardware import BlockDevices  # noqa: E402
from pyinfra.facts.server import Hostname, LinuxDistribution  # noqa: E402
from pyinfra.operations import server  # noqa: E402

address, port, key, known_hosts = sys.argv[1:]
data = {
    "ssh_hostname": address,
    "ssh_port": int(port),
    "ssh_user": "root",
    "ssh_key": key,
    "ssh_known_hosts_file": known_hosts,
    "ssh_strict_host_key_checking": "yes",
    "ssh_allow_agent": False,
    "ssh_look_for_keys": False,
}
state = State(Inventory(([(address, data)], {})), Config())
connect_all(state)
host = next(iter(state.inventory))
facts = {
    "hostname": get_facts(state, Hostname)[host],
    "distribution": get_facts(state, LinuxDistribution)[host]["name"],
    "devices": sorted(get_facts(state, BlockDevices)[host] or {}),
    "file": bool(get_facts(state, File, kwargs={"path": "/etc/hostname"})[host]),
}
add_op(state, server.shell, commands=["echo 'it'\\''s done' >/root/by-pyinfra", "wipefs -a /dev/nvme0n1"])
run_ops(state)
facts["changed"] = state.results[host].success_ops
sys.stdout.write(json.dumps(facts))
