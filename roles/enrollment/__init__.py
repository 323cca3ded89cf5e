"""Enrolment: how a machine and a controller prove one token to each other without sending it.

Pure: both sides as state machines over bytes. No connection, no store, no clock and no randomness of its own.
"""
