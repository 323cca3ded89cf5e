"""Releases: what a publisher says of one, and which may be taken. Verifies no signature."""
