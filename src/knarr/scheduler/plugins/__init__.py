"""Scheduler plugins, one pure module each."""
