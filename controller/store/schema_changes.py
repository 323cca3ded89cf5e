"""Which nodes changed, and in which order: a reader of a large fleet then asks for those only.

Triggers keep it, so that no write can forget to. It holds one row for each node that was ever written.
"""

_NOTE = (
    "BEGIN DELETE FROM node_changes WHERE node = {name}; INSERT INTO node_changes (node) VALUES ({name}); END"
)
_OF_A_NODE = "subject LIKE 'node/%'"


def _noted(trigger: str, when: str, name: str) -> str:
    # Not INSERT OR REPLACE: in a trigger, what the outer statement says about conflicts would count instead.
    return f"CREATE TRIGGER {trigger} AFTER {when} {_NOTE.format(name=name)}"


CHANGES: tuple[str, ...] = (
    # AUTOINCREMENT: a number is where a reader goes on, so it must never be given out twice.
    """CREATE TABLE node_changes (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        node TEXT NOT NULL UNIQUE
    ) STRICT""",
    _noted("node_is_new", "INSERT ON nodes", "NEW.name"),
    _noted("node_changed", "UPDATE ON nodes", "NEW.name"),
    _noted("node_is_gone", "DELETE ON nodes", "OLD.name"),
    _noted("node_step_began", "INSERT ON steps WHEN NEW.kind = 'node'", "NEW.subject"),
    _noted("node_step_changed", "UPDATE ON steps WHEN NEW.kind = 'node'", "NEW.subject"),
    _noted("node_step_is_gone", "DELETE ON steps WHEN OLD.kind = 'node'", "OLD.subject"),
    _noted(
        "node_progress_began", "INSERT ON progress WHEN NEW.subject LIKE 'node/%'", "substr(NEW.subject, 6)"
    ),
    _noted(
        "node_progress_moved", "UPDATE ON progress WHEN NEW.subject LIKE 'node/%'", "substr(NEW.subject, 6)"
    ),
    _noted(
        "node_progress_ended", "DELETE ON progress WHEN OLD.subject LIKE 'node/%'", "substr(OLD.subject, 6)"
    ),
    # Nodes of each cluster and site are counted by these alone.
    "CREATE INDEX nodes_by_cluster ON nodes (cluster, state)",
    "CREATE INDEX nodes_by_site ON nodes (site, state)",
)
