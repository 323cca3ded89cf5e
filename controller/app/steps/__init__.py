"""The steps of a node's and a cluster's life, one file each, found by their names in `inventory.lifecycle`.

A step has two halves: `act` makes the effect and returns what to record, `observe` tells from a fresh
read whether the effect is there. Neither writes to the store: the engine does.
"""
