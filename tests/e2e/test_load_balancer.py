"""The endpoint of a cluster in use moves to a load balancer in front of its control planes, and back."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tests.e2e.growing import LAB, STABLE, declare, nodes_at, planes, power, server, three
from tests.e2e.harness import LabHome, until

PORT = 6443


@contextmanager
def balanced(address: str, backends: Sequence[str]) -> Iterator[list[str]]:
    """A balancer that passes bytes on, to one after the other of those that answer; who got connections."""
    used: list[str] = []
    turns = itertools.cycle(backends)
    listener = socket.create_server((address, PORT))

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                threading.Thread(
                    target=_pass_on, args=(client, turns, len(backends), used), daemon=True
                ).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield used
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def _pass_on(client: socket.socket, turns: Iterator[str], most: int, used: list[str]) -> None:
    for backend in itertools.islice(turns, most):
        try:
            upstream = socket.create_connection((backend, PORT), timeout=5)
        except OSError:
            continue
        used.append(backend)
        threading.Thread(target=_copy, args=(client, upstream), daemon=True).start()
        _copy(upstream, client)
        return
    client.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        source.settimeout(None)
        while data := source.recv(65536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def test_the_endpoint_moves_to_a_load_balancer_and_back(make_lab: Callable[..., LabHome]):
    lab = make_lab("3", *LAB)
    members = three(lab)
    cluster = lab.machine(members[0]).cluster
    addresses = [lab.machine(name).address for name in members]
    front = addresses[0].rpartition(".")[0] + ".240"
    first = server(lab, cluster)
    declare(lab, planes(*members), endpoint=f"https://{front}:{PORT}")
    refused = lab.apply(code=4, env=STABLE | {"CTO_WAIT_LIMIT": "3"})
    assert f"https://{front}:{PORT}" in refused.stdout + refused.stderr
    assert server(lab, cluster) == first  # nothing answers there yet, so nobody is sent there
    with balanced(front, addresses) as used:
        lab.apply(env=STABLE)
        assert server(lab, cluster) == f"https://{front}:{PORT}"
        assert nodes_at(lab, cluster, front) == sorted(members)
        power(lab, members[1], "off")  # what a balancer is for: access stays
        for _ in members:
            assert nodes_at(lab, cluster, front) == sorted(members)
        assert set(used) >= {addresses[0], addresses[2]}
        power(lab, members[1], "on")
        again = ("apply", "-f", str(lab.site), "--yes")
        until(lambda: lab.cto(*again, env=STABLE).returncode == 0, "it is well again", seconds=120)
        declare(lab, planes(*members), endpoint=first)
        lab.apply(env=STABLE)
    assert server(lab, cluster) == first
    assert nodes_at(lab, cluster, addresses[2]) == sorted(members)
    assert lab.cluster_state(cluster) == "ready"
    lab.check_store()
