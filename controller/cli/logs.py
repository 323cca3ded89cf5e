"""How `cto serve` writes its log: on standard error, a line each, with the time in UTC. Logs nothing itself.

What came from outside can't begin a line of its own: control characters are shown, not sent. Only the
traceback of a bug has several lines, each of them indented.
"""

import logging
import time


class LineFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_msec_format = "%s.%03dZ"
    default_time_format = "%Y-%m-%dT%H:%M:%S"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        return "".join(
            each if each.isprintable() else each.encode("unicode_escape").decode()
            for each in super().formatMessage(record)
        )

    def formatException(self, ei: object) -> str:  # noqa: N802 - as above
        text = super().formatException(ei)  # type: ignore[arg-type]  # as logging itself passes it on
        return "\n".join(f"    {line}" for line in text.splitlines())


def to_stderr() -> None:
    """For the whole process; where a handler is there already, nothing is added."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
