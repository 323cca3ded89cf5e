"""Whole fleets on a virtual clock in one deterministic thread, to try the rollout core in. No I/O."""
