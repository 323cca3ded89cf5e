"""Questions on a console, for the text dialogs: asked again until the answer is good. ^C and ^D leave.

Understands no answer itself.
"""

import textwrap
from collections.abc import Callable, Sequence
from typing import TypeVar

from inventory.errors import FleetError

T = TypeVar("T")
_COLUMNS = 79  # of the 80, so that a full row is not followed by an empty one


class Left(Exception):
    """The person wants out."""


def ask(question: str, understand: Callable[[str], T], *, default: str = "") -> T:
    """The first answer that `understand` takes; what it raises is told. Enter alone means `default`."""
    shown = f"{question} [{default}]: " if default else f"{question}: "
    while True:
        try:
            answer = input(shown).strip() or default
        except (EOFError, KeyboardInterrupt) as error:
            print()  # noqa: T201 - this is a console
            raise Left from error
        try:
            return understand(answer)
        except FleetError as error:
            say(f"  {error.what}" + (f"; {error.fix}" if error.fix else ""))
        except ValueError as error:
            say(f"  {error}")


def choose(question: str, options: Sequence[T], show: Callable[[T], str], *, default: str = "1") -> T:
    """One of `options`, by its number."""
    for number, option in enumerate(options, 1):
        say(f"  {number}  {show(option)}")

    def understand(answer: str) -> T:
        if not answer.isdigit() or not 1 <= int(answer) <= len(options):
            raise ValueError(f"type a number from 1 to {len(options)}")
        return options[int(answer) - 1]

    return ask(question, understand, default=default)


def say(text: str = "") -> None:
    """Where a row is too short, words go on in the next one, as far in as they began."""
    clean = "".join(char if char.isprintable() else "?" for char in text)
    inset = clean[: len(clean) - len(clean.lstrip())]
    rows = textwrap.wrap(clean, _COLUMNS, subsequent_indent=inset) if len(clean) > _COLUMNS else [clean]
    print("\n".join(rows), flush=True)  # noqa: T201 - a console


def wait(text: str = "Enter goes back") -> None:
    """Until somebody has read what is above."""
    try:
        input(f"{text} ")
    except (EOFError, KeyboardInterrupt):
        say()
