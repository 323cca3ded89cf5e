"""A QR code as text that a phone reads from an 80x25 screen: two modules a character, light on dark.

Makes no code itself; qrencode does.
"""

import subprocess

_BLOCKS = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}


def modules(text: str) -> list[list[bool]]:
    """The code for `text`, True where dark, with a quiet zone of two; empty without qrencode."""
    command = ["qrencode", "-t", "ASCII", "-m", "2", "-l", "L", "-o", "-", text]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return []
    return parse(done.stdout) if done.returncode == 0 else []


def parse(ascii_art: str) -> list[list[bool]]:
    """The ASCII form of qrencode: two characters a module, # where dark."""
    return [[line[at] == "#" for at in range(0, len(line), 2)] for line in ascii_art.splitlines() if line]


def lines(code: list[list[bool]]) -> list[str]:
    """Half blocks: the upper and the lower module of each character, drawn where light."""
    padded = code if len(code) % 2 == 0 else [*code, [False] * len(code[0])]
    pairs = zip(padded[::2], padded[1::2], strict=True)
    return ["".join(_BLOCKS[cell] for cell in zip(upper, lower, strict=True)) for upper, lower in pairs]
