"""Meaning of API objects that several components share."""
