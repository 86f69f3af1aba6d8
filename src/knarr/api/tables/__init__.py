"""Committed tables: names, types, numbers and flags of the API, made by `scripts/generate_api.py`."""
