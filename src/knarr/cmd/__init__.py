"""Commands: wiring only."""
