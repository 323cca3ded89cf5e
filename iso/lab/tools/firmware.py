"""efibootmgr on the machine's NVRAM: list, create, order, next, delete."""

from collections.abc import Mapping, Sequence

from iso.lab.nvram import BootEntry, Nvram
from iso.lab.shell.call import Call, Tool, UsageError
from iso.lab.tools.volumes import volume

_LONG = {
    "--create": "-c",
    "--disk": "-d",
    "--part": "-p",
    "--label": "-L",
    "--loader": "-l",
    "--bootorder": "-o",
    "--bootnext": "-n",
    "--bootnum": "-b",
    "--delete-bootnum": "-B",
    "--verbose": "-v",
    "--create-only": "-C",
    "--quiet": "-q",
    "--delete-bootnext": "-N",
    "--remove-dups": "-D",
}


async def efibootmgr(call: Call) -> int:
    if call.host.hardware.firmware != "uefi":
        return await call.fail("EFI variables are not supported on this system.", 2)
    nvram = call.host.machine.nvram
    chosen = _parsed(call.args)
    if "-c" in chosen or "-C" in chosen:
        await _create(call, nvram, chosen)
    if "-B" in chosen:
        number = int(chosen.get("-b") or chosen["-B"] or "-1", 16)
        if number not in nvram.entries:
            return await call.fail(f"Could not delete variable: Boot{number:04X} not found", 15)
        nvram.delete(number)
    if "-o" in chosen:
        numbers = [int(text, 16) for text in chosen["-o"].split(",")]
        unknown = [number for number in numbers if number not in nvram.entries]
        if unknown:
            return await call.fail(
                f"Invalid BootOrder order entry value: boot entry {unknown[0]:04X} does not exist", 8
            )
        nvram.order = numbers
    if "-n" in chosen:
        nvram.next = int(chosen["-n"], 16)
    if "-N" in chosen:
        nvram.next = None
    nvram.save()
    return 0 if "-q" in chosen else await call.print(*_listing(nvram, verbose="-v" in chosen))


def _parsed(args: Sequence[str]) -> dict[str, str]:
    """Short and long options, values attached or not."""
    found: dict[str, str] = {}
    rest = list(args)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        name = _LONG.get(name, name)
        if name in ("-d", "-p", "-L", "-l", "-o", "-n", "-b"):
            if not equals and not rest:
                raise UsageError(f"option requires an argument -- '{name[1:]}'")
            found[name] = value if equals else rest.pop(0)
        elif name in ("-c", "-C", "-B", "-v", "-q", "-N", "-D", "-a", "-A"):
            found[name] = value
        elif name.startswith("-") and len(name) > 2 and not name.startswith("--"):
            rest = ["-" + letter for letter in name[1:]] + rest
        else:
            raise UsageError(f"unrecognized option '{name}'")
    return found


async def _create(call: Call, nvram: Nvram, chosen: Mapping[str, str]) -> None:
    one = volume(call, chosen.get("-d", "/dev/sda"))
    number = int(chosen["-b"], 16) if "-b" in chosen else nvram.free_number()
    loader = chosen.get("-l", "\\EFI\\grub.efi").replace("/", "\\")
    index = int(chosen.get("-p", "1"))
    part = next((part for part in call.host.partitions(one.disk.name) if part.number == index), None)
    guid = part.part_uuid if part else "00000000-0000-0000-0000-000000000000"
    start, size = (part.start // 512, part.size // 512) if part else (0, 0)
    path = f"HD({index},GPT,{guid},{start:#x},{size:#x})/File({loader})"
    entry = BootEntry(number, chosen.get("-L", "Linux"), one.disk.name, index, loader, path)
    nvram.add(entry, first="-c" in chosen)


def _listing(nvram: Nvram, *, verbose: bool) -> list[str]:
    lines = [f"BootNext: {nvram.next:04X}"] if nvram.next is not None else []
    lines += [
        f"BootCurrent: {nvram.current:04X}",
        "Timeout: 1 seconds",
        "BootOrder: " + ",".join(f"{n:04X}" for n in nvram.order),
    ]
    for number, entry in sorted(nvram.entries.items()):
        path = f"\t{entry.path}" if verbose and entry.path else ""
        lines.append(f"Boot{number:04X}* {entry.label}{path}")
    return lines


TOOLS: Mapping[str, Tool] = {"efibootmgr": efibootmgr}
