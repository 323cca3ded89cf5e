"""How control leaves a script early: `exit`, `break` and `continue` as exceptions of the shell's own."""


class ExitShell(Exception):
    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


class LoopControl(Exception):
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
