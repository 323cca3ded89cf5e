"""The rollout core: pure decisions about who is updated when. Reads no machine, no clock and no store."""
