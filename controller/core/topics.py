"""Which events people are told of, and in what words. Sends nothing.

An event's kind belongs to at most one topic; operators choose topics, not kinds.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from inventory.errors import OperatorError

# Topic → kinds of events. The order is that of the help.
TOPICS: Mapping[str, frozenset[str]] = {
    "hands": frozenset(
        {
            "ProblemFound",
            "RolloutNodeNeedsHands",
            "RolloutNodeFailed",
            "RolloutClusterFailed",
            "RolloutClusterRed",
            "RolloutStandsStill",
            "SnapshotFailed",
        }
    ),
    "paused": frozenset({"RolloutPaused", "RolloutStopped", "RolloutApprovalWanted"}),
    "rolled-back": frozenset({"RolloutRollingBack", "RolloutNodeRolledBack"}),
    "wave": frozenset({"RolloutWaveDone", "RolloutSucceeded"}),
    "window": frozenset(
        {"WindowOpened", "WindowsMissed", "WindowMoved", "RolloutOverrun", "Frozen", "Unfrozen"}
    ),
    "release": frozenset(
        {"ReleaseSeen", "ReleaseStaged", "ReleaseWithdrawn", "UpdateProposed", "FeedLookFailed"}
    ),
    "enrolment": frozenset({"EnrollmentPending", "EnrollmentConflict"}),
    "security": frozenset(
        {"LoginFailed", "KeyExported", "SecretExported", "StoreRestored", "LicenseKeyTrusted"}
    ),
}
_TITLES: Mapping[str, str] = {
    "hands": "needs you",
    "paused": "rollout stands still",
    "rolled-back": "rolled back",
    "wave": "wave done",
    "window": "maintenance window",
    "release": "release",
    "enrolment": "new machine",
    "security": "security",
}
_OF_KIND = {kind: topic for topic, kinds in TOPICS.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, whatever the way. `id` is the same each time one event is sent to one receiver: whoever
    sees it twice knows.
    """

    id: str
    at: str  # ISO 8601, UTC
    topic: str
    kind: str
    subject: str  # "node/x", "controller"
    text: str

    @property
    def title(self) -> str:
        return f"[cto] {_TITLES.get(self.topic, self.topic)}: {self.subject}"


def topic_of(kind: str) -> str:
    """Empty for an event that nobody is told of."""
    return _OF_KIND.get(kind, "")


def checked(topics: tuple[str, ...]) -> tuple[str, ...]:
    """Those named, or all for none. Raises OperatorError."""
    for topic in topics:
        if topic not in TOPICS:
            raise OperatorError(f"there is no topic {topic!r}", fix=f"name some of {', '.join(TOPICS)}")
    return tuple(topic for topic in TOPICS if topic in topics) if topics else tuple(TOPICS)
