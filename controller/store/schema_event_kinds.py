"""Events of one kind by an index, for the pages' filter. Holds statements only."""

EVENT_KINDS: tuple[str, ...] = ("CREATE INDEX events_of_kind ON events (kind, id)",)
