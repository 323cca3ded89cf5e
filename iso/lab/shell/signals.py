"""How control leaves a script early: `exit`, `break` and `continue` as exceptions of the shell's own."""


class ExitShell(Exception):  # noqa: N818 - no error: the script asked for it
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class LoopControl(Exception):  # noqa: N818 - no error: the script asked for it
    """`break N` or `continue N`."""

    def __init__(self, levels: int, *, leaves: bool) -> None:
        self.levels, self.leaves = levels, leaves
        super().__init__(levels)

    def leave(self) -> bool:
        """For the innermost loop: is it left? Raises itself again for the loops further out."""
        if self.levels > 1:
            self.levels -= 1
            raise self
        return self.leaves
