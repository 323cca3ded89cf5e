"""The machine's side of enrolment: find the controller, prove the token, show words, wait for the verdict.

Used by the booted environment and by the lab's simulated machines. Knows neither a screen nor a disk.
"""
