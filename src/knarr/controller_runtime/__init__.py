"""What reconcilers run on: snapshot, changes, queue, manager."""
