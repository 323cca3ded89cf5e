"""One pyinfra deploy on one machine, in a process of its own. Emits events; decides nothing about the fleet.

Follows pyinfra's documented stages (connect, prepare, execute), with its pitfalls avoided: one host per
State, a greenlet with the host's context for prepare, results read after `run_ops` (in callbacks they are
not there yet), host keys strict, no SSH configuration of the user's, TCP_NODELAY.
"""

import json
import os
import socket
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import gevent
from pydantic import ValidationError
from pyinfra.api.config import Config
from pyinfra.api.connectors import get_all_connectors
from pyinfra.api.exceptions import ConnectError, PyinfraError
from pyinfra.api.host import Host
from pyinfra.api.inventory import Inventory
from pyinfra.api.operations import run_ops
from pyinfra.api.state import BaseStateCallback, State
from pyinfra.context import ctx_host, ctx_state

from deploys import registry
from inventory.errors import (
    CommandFailed,
    FleetError,
    HostKeyMismatch,
    InvariantError,
    NodeError,
    Unreachable,
)

_CONNECT_SECONDS = 15
_MAX_TEXT = 4000  # characters of a machine's output in one event
_AGAIN = "run the command again: every step is checked before it is repeated"

Emit = Callable[[str, Mapping[str, Any]], None]


def preload() -> None:
    """Import everything a job will need, so that children share it. Must not start gevent's hub."""
    registry.all_deploys()
    get_all_connectors()  # type: ignore[no-untyped-call]


def run(job: Mapping[str, Any], pipe: int) -> None:
    """Run the job; the last event is `result` or `error`, whatever happens."""

    def emit(kind: str, data: Mapping[str, Any]) -> None:
        os.write(pipe, json.dumps({"kind": kind, "data": data}).encode() + b"\n")

    emit("started", {"deploy": job["deploy"], "pid": os.getpid()})
    try:
        emit("result", _run(job, emit))
    except FleetError as error:
        emit("error", _describe(error))
    except ConnectError as error:
        emit("error", _describe(_connection(error)))
    except PyinfraError as error:
        # Only questions asked outside of operations end here: pyinfra gives up a host that can't answer one.
        what = f"the machine could not be looked at ({error}); see the runner's log"
        emit("error", _describe(Unreachable(what, fix=_AGAIN)))
    except ValidationError as error:
        emit("error", _describe(InvariantError(f"wrong data for {job['deploy']}: {error}")))
    except Exception as error:  # noqa: BLE001 - the process's last line: everything must become an event
        traceback.print_exc()
        what = f"{type(error).__name__}: {error}"[:_MAX_TEXT]
        emit("error", _describe(InvariantError(what, fix="report this with the runner's log: it is our bug")))


def _run(job: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    deploy = registry.find(job["deploy"])
    data = deploy.data.model_validate(job["data"])
    with _host_data(job) as host_data:
        state = _state(job["name"], host_data)
        host = state.inventory.get_host(job["name"])
        with ctx_state.use(state):
            host.connect(show_errors=False, raise_exceptions=True)
            state.activate_host(host)
            conclude = _in_host(host, lambda: deploy.run(data))
            if job["dry_run"]:
                return _predicted(state, host)
            changed = _execute(state, host, emit)
            found = _in_host(host, conclude) if conclude else {}
    return {"ok": True, "changed": changed, "data": found}


def _state(name: str, host_data: Mapping[str, Any]) -> State:
    inventory = Inventory(([(name, host_data)], {}))  # type: ignore[no-untyped-call]
    return State(inventory, Config(CONNECT_TIMEOUT=_CONNECT_SECONDS))  # type: ignore[no-untyped-call]


def _execute(state: State, host: Host, emit: Emit) -> bool:
    """Run the prepared operations; true if any changed the machine."""
    progress = _Progress(emit)
    state.add_callback_handler(progress)  # type: ignore[no-untyped-call]
    try:
        run_ops(state)
    except PyinfraError as error:
        progress.report_rest(state, host)
        raise _failure(state, host) from error
    return progress.changed


def _in_host(host: Host, call: Callable[[], Any]) -> Any:
    """Call with the host as context, in a greenlet, and pass its exception on."""

    def inside() -> Any:
        with ctx_host.use(host):
            return call()

    greenlet = gevent.Greenlet(inside)
    greenlet.start()
    greenlet.join()
    if greenlet.exception is not None:
        raise greenlet.exception
    return greenlet.value


def _predicted(state: State, host: Host) -> Mapping[str, Any]:
    """What would be run: the prediction of the prepare stage."""

    def list_commands() -> list[dict[str, Any]]:
        operations = []
        for op in _order(state):
            data = state.get_op_data_for_host(host, op)
            commands = [str(command) for command in data.command_generator()]
            operations.append({"name": _label(state, host, op), "commands": commands})
        return operations

    operations = _in_host(host, list_commands)
    return {"ok": True, "changed": any(o["commands"] for o in operations), "data": {"operations": operations}}


class _Progress(BaseStateCallback):
    """Tells of operations as they end. Only emits: an exception in a callback would abort the run."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._told: set[str] = set()
        self.changed = False

    def operation_host_start(self, state: State, host: Host, op_hash: str) -> None:  # type: ignore[override]
        self._emit("output", {"line": _label(state, host, op_hash)})

    def operation_end(self, state: State, op_hash: str) -> None:  # type: ignore[override]
        for host in state.inventory:
            self._tell(state, host, op_hash)

    def report_rest(self, state: State, host: Host) -> None:
        """For pyinfra skips `operation_end` at the operation that failed the last host."""
        for op_hash in _order(state):
            self._tell(state, host, op_hash)

    def _tell(self, state: State, host: Host, op_hash: str) -> None:
        meta = state.get_op_data_for_host(host, op_hash).operation_meta
        if op_hash in self._told or not meta.is_complete():
            return
        self._told.add(op_hash)
        self.changed = self.changed or meta.did_change()
        name = _label(state, host, op_hash)
        self._emit("operation", {"name": name, "changed": meta.did_change(), "ok": meta.did_succeed()})


def _order(state: State) -> list[str]:
    return list(state.get_op_order())  # type: ignore[no-untyped-call]


def _label(state: State, host: Host, op_hash: str) -> str:
    data = state.get_op_data_for_host(host, op_hash)
    return str(data.global_arguments.get("name") or ", ".join(state.get_op_meta(op_hash).names))


def _failure(state: State, host: Host) -> FleetError:
    """The error of the operation that failed, with what the machine said."""
    for op_hash in _order(state):
        meta = state.get_op_data_for_host(host, op_hash).operation_meta
        if not meta.is_complete():
            break  # it never came back: the connection broke while it ran
        if meta.did_error():
            said = (meta.stderr or meta.stdout).strip()[-_MAX_TEXT:]
            name = _label(state, host, op_hash)
            if not said:
                return Unreachable(f"{name}: no answer; whether it was done is not known", fix=_AGAIN)
            return CommandFailed(
                f"{name}: {said}", fix="correct what the machine says, then run the command again"
            )
    return Unreachable("the connection broke; what was done is not known", fix=_AGAIN)


@contextmanager
def _host_data(job: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The host data for pyinfra: one known key, strict, and nothing from the user's own SSH set-up."""
    host, port = job["host"], int(job["port"])
    name = host if port == 22 else f"[{host}]:{port}"
    with tempfile.TemporaryDirectory(prefix="cto-runner-") as folder:  # made 0700
        known_hosts = Path(folder) / "known_hosts"
        known_hosts.write_text(f"{name} {job['host_key']}\n")
        known_hosts.chmod(0o600)
        yield {
            "ssh_hostname": host,
            "ssh_port": port,
            "ssh_user": job["user"],
            "ssh_key": job["key_path"],
            "ssh_known_hosts_file": str(known_hosts),
            "ssh_strict_host_key_checking": "yes",
            "ssh_config_file": os.devnull,
            "ssh_allow_agent": False,
            "ssh_look_for_keys": False,
            "ssh_paramiko_connect_kwargs": {"sock": _socket(host, port), "banner_timeout": _CONNECT_SECONDS},
        }


def _socket(host: str, port: int) -> socket.socket:
    """Connected here, since paramiko leaves Nagle's algorithm on, which costs 40 ms per command."""
    where = f"{host} port {port}"
    try:
        connection = socket.create_connection((host, port), timeout=_CONNECT_SECONDS)
    except ConnectionRefusedError as error:
        fix = "check that the machine runs the bootstrap environment"
        raise Unreachable("connection refused: nothing listens there", where=where, fix=fix) from error
    except OSError as error:
        fix = "check power, cable and address, then run the command again"
        raise Unreachable(f"no connection: {error}", where=where, fix=fix) from error
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _connection(error: ConnectError) -> FleetError:
    text = str(error)
    if "host key" in text.lower():
        fix = "read the KEY words on its console and pin it again: cto node add --confirm-words"
        return HostKeyMismatch(f"the machine shows another host key than the pinned one ({text})", fix=fix)
    if "Authentication" in text:
        fix = "boot the machine from an image that carries this controller's public key"
        return NodeError(f"the machine does not accept the controller's SSH key ({text})", fix=fix)
    return Unreachable(f"the connection was dropped ({text})", fix=_AGAIN)


def _describe(error: FleetError) -> Mapping[str, Any]:
    return {"slug": error.slug, "what": error.what, "where": error.where, "fix": error.fix}
