"""What every component stands on: clock, logs, metrics, tasks, certificates."""
