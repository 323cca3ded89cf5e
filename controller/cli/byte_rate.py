"""A rate on the command line: bytes a second, such as 10MiB. Limits nothing itself."""

import re

import click

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_RATE = re.compile(r"([1-9][0-9]{0,11})\s*(?:([KMG])(?:i?B)?)?(?:/s)?", re.ASCII | re.IGNORECASE)
LEAST = 16 << 10  # a server that sends much less is taken for one that holds the update back


def byte_rate(text: str) -> int:
    """Raises click.BadParameter."""
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no rate; write bytes a second, such as 500KiB or 10MiB")
    rate = int(found[1]) * _UNITS[(found[2] or "").upper()]
    if rate < LEAST:
        raise click.BadParameter(f"{text!r} is too slow; at least {LEAST >> 10}KiB")
    return rate


def option_value(_context: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    """As an option's callback."""
    return None if text is None else byte_rate(text)
