"""Simulated nodes and pods."""
