"""The text on a machine's screen: what it is, where it is reached, and the words of its host key."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from iso.lab.machine import Machine


def console_text(machine: "Machine", *, fingerprint: str) -> str:
    hardware = machine.hardware
    lines = [
        f"{hardware.title}  serial {machine.serial or 'unknown'}",
        f"{hardware.cpu.model}, {hardware.memory // 1024**3} GiB memory, {hardware.firmware.upper()}",
    ]
    if machine.state != "bootstrap":
        return "\n".join(
            [
                *lines,
                {"off": "(no power)", "dark": "(the screen stays dark)"}.get(machine.state, machine.state),
            ]
        )
    if machine.enrolling is not None:
        state = machine.enrolling.state
        lines += [state.words, state.text] if state.words else [state.text]
    return "\n".join(
        [
            *lines,
            f"ssh root@{machine.address} -p {machine.ssh_port}",
            f"host key {fingerprint}",
            key_line(machine.host_key),
        ]
    )


def key_line(host_key: str) -> str:
    from inventory.words import key_words

    words = key_words(host_key)
    return words if words.startswith("KEY") else f"KEY {words}"
