"""The container runtime: one protocol, its drivers."""
