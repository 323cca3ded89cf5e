"""The lab's control socket: JSON lines over a Unix socket that only its owner can open."""

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inventory.errors import FleetError, OperatorError
from iso.enroll.config import EnrollConfig
from iso.lab.enroll import Enrolling, finder
from iso.lab.machine import Machine

if TYPE_CHECKING:
    from iso.lab.process import Lab

_LINE = 1024 * 1024


class Control:
    """Answers `{"op": …}` with `{"ok": true, …}` or `{"ok": false, "what": …, "fix": …}`."""

    def __init__(self, lab: "Lab") -> None:
        self._lab = lab
        self._server: asyncio.Server | None = None
        self._finder = finder()
        self._ops: Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]] = {
            "info": self._info, "fault": self._fault, "clear": self._clear, "power": self._power,
            "log": self._log, "clock": self._clock, "disks": self._disks, "stop": self._stop,
            "enroll": self._enroll,
        }  # fmt: skip

    async def start(self, path: Path) -> None:
        path.unlink(missing_ok=True)  # noqa: ASYNC240 - one call on a local file, before anything runs
        # Paths of sockets are short; a folder's descriptor stands for the folder.
        descriptor = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, f"/proc/self/fd/{descriptor}/{path.name}", limit=_LINE
            )
        finally:
            os.close(descriptor)
        path.chmod(0o600)  # noqa: ASYNC240 - as above

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while line := await reader.readline():
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            return  # the client left, or sent a line that is too long
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            request = json.loads(line)
            operation = self._ops.get(request["op"])
            if operation is None:
                raise OperatorError(
                    f"the lab knows no operation {request['op']!r}", fix="one of: " + ", ".join(self._ops)
                )
            return {"ok": True, **await operation(request)}
        except FleetError as error:
            return {"ok": False, "what": error.what, "fix": error.fix}
        except (KeyError, TypeError, ValueError) as error:
            return {"ok": False, "what": f"not a request: {error!r}", "fix": 'send {"op": …, "machine": …}'}

    def _machine(self, request: Mapping[str, Any]) -> Machine:
        name = request["machine"]
        machine = self._lab.machines.get(name)
        if machine is None:
            raise OperatorError(f"the lab has no machine {name!r}", fix="`cto lab status` lists them")
        return machine

    async def _info(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"info": self._lab.info().to_dict()}

    async def _fault(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        machine = self._machine(request)
        options = {name: request[name] for name in ("at", "times", "after") if name in request}
        options |= request.get("options", {})
        kind = request["kind"]
        if kind == "spoof":
            address = str(options.get("address", "127.66.66.66"))
            await self._lab.mdns.spoof(machine.instance, address, machine.ssh_port, machine.enroll_id)
            machine.log("fault", kind=kind, address=address)
        else:
            await machine.apply_fault(kind, **options)
        return {"faults": machine.faults.waiting()}

    async def _enroll(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """From now on the machine boots an image with this token; if it waits, it begins to ask at once."""
        machine = self._machine(request)
        config = EnrollConfig.read(json.dumps(request["config"]))
        if machine.enrolling is not None:
            await machine.enrolling.stop()
        machine.enrolling = Enrolling(machine, config, self._finder)
        if machine.state == "bootstrap":
            machine.enrolling.start()
        return {}

    async def _clear(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        machine = self._machine(request)
        await machine.clear_faults(request.get("kind", ""))
        if request.get("kind", "") in ("", "spoof"):
            await self._lab.mdns.stop_spoofing()
        return {"faults": machine.faults.waiting()}

    async def _power(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        machine, action = self._machine(request), request["action"]
        if action == "cut":
            machine.power_cut()
        elif action in ("on", "off", "reboot"):
            await {"on": machine.power_on, "off": machine.power_off, "reboot": machine.reboot}[action]()
        else:
            raise OperatorError(f"no such power action: {action!r}", fix="one of: on, off, reboot, cut")
        return {"state": machine.state}

    async def _log(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        machine = self._machine(request)
        events = list(machine.deeds if request.get("deeds") else machine.events)
        wanted = request.get("event")
        chosen = [event for event in events if not wanted or event["event"] == wanted]
        return {"events": chosen[-int(request.get("limit", 200)) :], "total": len(chosen)}

    async def _clock(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        machine = self._machine(request)
        machine.clock_offset = float(request["offset"])
        return {"offset": machine.clock_offset}

    async def _disks(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        disks = self._machine(request).disks.values()
        return {"disks": {d.name: {"size": d.size, "used": d.used(), "written": d.written} for d in disks}}

    async def _stop(self, _request: Mapping[str, Any]) -> Mapping[str, Any]:
        self._lab.ended.set()
        return {}
