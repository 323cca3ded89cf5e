"""Gates for tests of the core: always open."""

from controller.core.rollout.messages import Admission

NOW = 1_780_000_000.0


class Open:
    def frozen(self) -> str:
        return ""

    def admits(self, site: str, now: float, seconds: float) -> Admission:
        return Admission(True, until=now + 3600)
