"""Maintenance windows: when disruptive work is allowed at a site. Reads no clock and keeps nothing.

zones, instants   wall-clock time → instants        occurrences   one window's openings
spans             sets of stretches of time         blackouts     when nothing may happen
allowed           may we now, until when, why not   admission     does a job still fit; jitter
overrides         emergency rules                   trust         is our own clock right
notices           what to tell people in time
"""
