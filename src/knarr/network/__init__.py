"""The pod network."""
