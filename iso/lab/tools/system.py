"""The system around the shell: sh, env, timeout, sleep, date, uname, hostname, id, systemctl, reboot…"""

import asyncio
import re
import time
from collections.abc import Mapping

from iso.lab.shell.call import Call, Tool, UsageError, options
from iso.lab.shell.streams import Reader, Writer

_SECONDS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _duration(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if match is None:
        raise UsageError(f"invalid time interval '{text}'")
    return float(match.group(1)) * _SECONDS[match.group(2)]


async def sh(call: Call) -> int:
    found, rest = options(call.args, "elucx")
    prefix = "set -e\n" if "e" in found else ""
    if "c" in found:
        if not rest:
            raise UsageError("-c requires an argument")
        name = rest[1] if len(rest) > 1 else "sh"  # $0
        return await call.shell.run_script(prefix + rest[0], tuple(rest[2:]), call.env, name=name)
    names = rest[:1] if "s" not in found else []
    text = b"".join([chunk async for chunk in call.inputs(names)])
    return await call.shell.run_script(
        prefix + text.decode("utf-8", "surrogateescape"), tuple(rest[1:]), call.env
    )


async def env(call: Call) -> int:
    args, values = list(call.args), dict(call.env)
    while args:
        if args[0] in ("-i", "-"):
            values = {}
        elif args[0] == "-u" and len(args) > 1:
            values.pop(args.pop(1), None)
        elif "=" in args[0] and not args[0].startswith("-"):
            name, _, value = args[0].partition("=")
            values[name] = value
        else:
            break
        args.pop(0)
    if args:
        return await call.shell.run_argv(args, values)
    return await call.print(*(f"{name}={value}" for name, value in values.items()))


async def _run(call: Call, args: list[str], fds: Mapping[int, Reader | Writer] | None = None) -> int:
    return await call.shell.with_fds(fds or {}).run_argv(args, call.env)


async def timeout(call: Call) -> int:
    args = list(call.args)
    while args and args[0].startswith("-"):
        if args.pop(0) in ("-k", "-s") and args:
            args.pop(0)
    if len(args) < 2:
        raise UsageError("missing operand")
    try:
        return await asyncio.wait_for(_run(call, args[1:]), _duration(args[0]) or None)
    except TimeoutError:
        return 124


async def transparent(call: Call) -> int:
    """nohup, nice, ionice, stdbuf, setsid, sudo: run what follows; there is nothing to be nicer to."""
    args = list(call.args)
    valued = {"nice": ("-n",), "ionice": ("-c", "-n", "-p"), "sudo": ("-u",)}.get(call.name, ())
    while args and args[0].startswith("-"):
        if args.pop(0) in valued and args:
            args.pop(0)
    while args and "=" in args[0] and call.name == "sudo":
        args.pop(0)
    return await _run(call, args) if args else 0


async def xargs(call: Call) -> int:
    found, rest = options(call.args, "0rt", "nI")
    data = b"".join([chunk async for chunk in call.inputs([])]).decode("utf-8", "surrogateescape")
    items = data.split("\0") if "0" in found else data.split()
    items = [item for item in items if item]
    command = rest or ["echo"]
    if "I" in found:
        batches = [[part.replace(found["I"], item) for part in command] for item in items]
    else:
        step = int(found.get("n", len(items) or 1))
        batches = [[*command, *items[at : at + step]] for at in range(0, len(items), step)]
    if not batches and "r" not in found and "I" not in found:
        batches = [command]
    statuses = [await _run(call, batch) for batch in batches]
    return 123 if any(statuses) else 0


async def sleep(call: Call) -> int:
    await asyncio.sleep(sum(_duration(arg) for arg in call.args))
    return 0


async def date(call: Call) -> int:
    """+FORMAT with -u or not (the environment's zone is UTC); `-s @EPOCH` sets the machine's clock."""
    args = [arg for arg in call.args if arg not in ("-u", "--utc")]
    if args[:1] == ["-s"] and len(args) > 1:
        call.host.set_clock(float(args[1].removeprefix("@")))
        return 0
    now = call.host.now()
    form = next((arg[1:] for arg in args if arg.startswith("+")), "%a %b %e %H:%M:%S UTC %Y")
    if args[:1] in (["-Is"], ["--iso-8601=seconds"]):
        form = "%Y-%m-%dT%H:%M:%S+00:00"
    form = form.replace("%s", str(int(now))).replace("%N", f"{int(now % 1 * 1e9):09d}").replace("%z", "+0000")
    return await call.print(time.strftime(form.replace("%Z", "UTC"), time.gmtime(now)))


async def uname(call: Call) -> int:
    found, _ = options(call.args, "asnrvmpio")
    arch = {"amd64": "x86_64", "arm64": "aarch64"}[call.host.machine.arch]
    version = "#1 SMP PREEMPT_DYNAMIC Debian 6.1.140-1"
    values = {
        "s": "Linux",
        "n": call.host.name,
        "r": call.host.kernel,
        "v": version,
        "m": arch,
        "o": "GNU/Linux",
    }
    letters = "snrvmo" if "a" in found else [letter for letter in "snrvmo" if letter in found] or "s"
    return await call.print(" ".join(values[letter] for letter in letters))


async def hostname(call: Call) -> int:
    return await call.print(call.host.machine.address if call.args[:1] == ["-I"] else call.host.name)


async def id_(call: Call) -> int:
    found, _ = options(call.args, "unrgG")
    if "u" in found or "g" in found or "G" in found:
        return await call.print("root" if "n" in found else "0")
    return await call.print("uid=0(root) gid=0(root) groups=0(root)")


async def whoami(call: Call) -> int:
    return await call.print("root")


async def which(call: Call) -> int:
    missing = [name for name in call.args if name not in call.host.tools]
    await call.print(*(f"/usr/bin/{name}" for name in call.args if name in call.host.tools))
    return 1 if missing else 0


async def nproc(call: Call) -> int:
    return await call.print(str(call.host.hardware.cpu.threads_in_all))


async def uptime(call: Call) -> int:
    return await call.print(f"up {int(call.host.uptime() // 60)} min")


async def systemctl(call: Call) -> int:
    """reboot, poweroff and the states of the few units of the bootstrap environment."""
    args = [arg for arg in call.args if not arg.startswith("-")]
    verb = args[0] if args else "list-units"
    if verb in ("reboot", "poweroff", "halt"):
        return await _power(call, "reboot" if verb == "reboot" else "poweroff")
    if verb == "is-system-running":
        return await call.print("running")
    if verb in ("is-active", "is-enabled"):
        known = set(call.host.units) & {name.removesuffix(".service") for name in args[1:]}
        await call.print(("active" if verb == "is-active" else "enabled") if known else "inactive")
        return 0 if known else 3
    if verb in ("start", "stop", "restart", "daemon-reload", "mask", "unmask", "enable", "disable"):
        unknown = [name for name in args[1:] if name.removesuffix(".service") not in call.host.units]
        return (
            await call.fail(f"Failed to {verb} {unknown[0]}: Unit {unknown[0]} not found.", 5)
            if unknown
            else 0
        )
    return await call.print(*(f"{unit}.service loaded active running" for unit in call.host.units))


async def reboot(call: Call) -> int:
    return await _power(call, "reboot" if call.name == "reboot" else "poweroff")


async def _power(call: Call, how: str) -> int:
    if call.host.faults.take("ignore-reboot") is None:
        await (call.host.machine.reboot() if how == "reboot" else call.host.machine.power_off())
    return 0


async def kexec(call: Call) -> int:
    return await call.fail("kexec_load failed: Operation not permitted", 255)


async def swapoff(call: Call) -> int:
    return 0 if call.args else 1


async def findmnt(call: Call) -> int:
    names = [arg for arg in call.args if arg.startswith("/")]
    return 0 if names == ["/"] or not names else 1


async def timedatectl(call: Call) -> int:
    return await call.print("Timezone=Etc/UTC", "NTP=yes", "NTPSynchronized=yes")


async def dmesg(call: Call) -> int:
    return await call.print(f"[    0.000000] Linux version {call.host.kernel}")


TOOLS: Mapping[str, Tool] = {
    "sh": sh,
    "dash": sh,
    "bash": sh,
    "env": env,
    "printenv": env,
    "timeout": timeout,
    "sleep": sleep,
    "date": date,
    "uname": uname,
    "hostname": hostname,
    "id": id_,
    "whoami": whoami,
    "which": which,
    "nproc": nproc,
    "uptime": uptime,
    "systemctl": systemctl,
    "reboot": reboot,
    "poweroff": reboot,
    "kexec": kexec,
    "swapoff": swapoff,
    "findmnt": findmnt,
    "timedatectl": timedatectl,
    "dmesg": dmesg,
    "xargs": xargs,
    "nohup": transparent,
    "nice": transparent,
    "ionice": transparent,
    "stdbuf": transparent,
    "setsid": transparent,
    "sudo": transparent,
}
