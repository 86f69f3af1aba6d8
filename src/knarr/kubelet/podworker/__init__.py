"""The pure half of a pod's life on its node: events in, instructions out."""
