"""Reaching a cluster: one Client, two transports."""
