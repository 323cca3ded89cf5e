"""The ways in which a node's configuration reaches its first boot, one file each, behind one contract.

The steps of a node's life are the same for all (`inventory.lifecycle`); which way a node takes is decided by
`inventory.delivery`. What differs is in three places: `configure`, `join` and `clean`.
"""
