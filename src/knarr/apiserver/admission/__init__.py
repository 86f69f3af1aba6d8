"""Admission plugins, one pure module each."""
