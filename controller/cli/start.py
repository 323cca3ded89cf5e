"""Entry point of `cto`: answers Ctrl-C from the first moment on, then loads the program. Parses nothing.

It imports next to nothing, so that it is in place a moment after the interpreter is.
"""

# `signal` without its half that is written in Python, which would take most of the time until then.
import _signal as signal  # type: ignore[import-not-found]
import os
import sys

_CANCELLED = 130  # as web.ports.EXIT_CANCELLED, which would have to be loaded first
_WHAT, _FIX = "stopped", "nothing is lost; run it again to go on"
_TEXT = f"error: {_WHAT}\n  → {_FIX}\n"
_JSON = f'{{"error": {{"slug": "cancelled", "what": "{_WHAT}", "fix": "{_FIX}"}}}}\n'


def main() -> None:
    """Runs the command line of this process and ends it with the exit code."""
    guard()
    try:
        from controller.cli.main import main as program

        signal.signal(signal.SIGINT, signal.default_int_handler)  # now there may be something to tidy up
        program()
    except KeyboardInterrupt:
        _stop(signal.SIGINT, None)
    finally:
        # The result is decided; what is left is the interpreter's own end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def guard() -> None:
    """While modules are loaded there is nothing to tidy up: Ctrl-C ends the program at once.

    Not by an exception: a library that is just being loaded may catch it, or turn it into another one.
    """
    signal.signal(signal.SIGINT, _stop)
    sys.unraisablehook = _unraisable


def _stop(_signal: int, _frame: object) -> None:
    json = "json" in sys.argv or "--output=json" in sys.argv
    os.write(2, (_JSON if json else _TEXT).encode())
    os._exit(_CANCELLED)


def _unraisable(lost: "sys.UnraisableHookArgs") -> None:
    """A Ctrl-C inside a finalizer would be printed and forgotten: it is raised once more instead."""
    if lost.exc_type is KeyboardInterrupt:
        signal.raise_signal(signal.SIGINT)
    else:
        sys.__unraisablehook__(lost)
