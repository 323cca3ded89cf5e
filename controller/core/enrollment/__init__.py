"""Decisions of enrolment without network and store: limits, what refusals are called, which node it is."""
