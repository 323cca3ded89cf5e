"""Enrolment on the controller's side: the key it shows, the desk machines ask at, decisions, the hour."""
