"""Calls to webhooks: the client that all kinds of them share, and the mutating and validating ones of admission."""
