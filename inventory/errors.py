"""The error families of the product. Knows nothing of exit codes or HTTP: `web.ports` has that table.

A family says whose fault it is; a class carries the data and composes the sentence. Every error says
what happened, where, and what to do next, and has a stable `slug` that scripts may rely on.
"""

from typing import ClassVar


class FleetError(Exception):
    """Root of everything this product raises on purpose."""

    slug: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        """`what` happened, `where` (file:line, node or URL), and the `fix`: what to do next."""
        self.what = what
        self.where = where
        self.fix = fix
        super().__init__(what)

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}\n  → {self.fix}" if self.fix else head


class OperatorError(FleetError):
    """Their input; the message says what to change."""

    slug = "wrong-input"


class SiteFileError(OperatorError):
    """One or more problems in site files. Each problem has file, line, path and fix."""

    slug = "site-file"

    def __init__(self, problems: "tuple[Problem, ...]") -> None:
        self.problems = problems
        super().__init__("\n".join(str(problem) for problem in problems))


class Problem:
    """One finding in a site file: where it is, what is wrong, how to mend it."""

    __slots__ = ("file", "fix", "line", "path", "what")

    def __init__(self, *, file: str, line: int, path: str, what: str, fix: str) -> None:
        self.file, self.line, self.path, self.what, self.fix = file, line, path, what, fix

    def __str__(self) -> str:
        at = f" {self.path}:" if self.path else ""
        return f"{self.file}:{self.line}:{at} {self.what}\n  → {self.fix}"


class UnknownName(OperatorError):
    """There is nothing of this name (or nothing that they may see)."""

    slug = "unknown-name"


class BusyError(FleetError):
    """Another engine holds this controller."""

    slug = "busy"
    retryable = True


class RefusedError(OperatorError):
    """A plan or an act that the rules do not allow; `fix` says what would make it possible."""

    slug = "refused"


class NodeError(FleetError):
    """A node did not do what it should; `where` is the node."""

    slug = "node"


class Unreachable(NodeError):
    """No answer within the deadline, or the connection was lost: what happened on the node is not known."""

    slug = "unreachable"
    retryable = True


class HostKeyMismatch(NodeError):
    """The node answered with another host key than the one pinned.

    Never retried, never replaced by itself.
    """

    slug = "key-mismatch"


class CommandFailed(NodeError):
    """A command on the node ended with a non-zero status."""

    slug = "command-failed"


class CheckFailed(NodeError):
    """The node works, but is not what it should be."""

    slug = "check-failed"


class TransportError(FleetError):
    """The network between us and a service that is no node (image mirror, jump host, web API)."""

    slug = "transport"
    retryable = True


class StoreError(FleetError):
    """The fleet store can't be used as it is (corrupt, newer than this program, key missing)."""

    slug = "store"


class InvariantError(FleetError):
    """Our bug: a state that the code promises never to reach."""

    slug = "bug"


class NotYet(NodeError):
    """The node works but can't do this now (Talos: FailedPrecondition). Ask again later."""

    slug = "not-yet"
    retryable = True
