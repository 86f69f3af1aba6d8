"""Custom resources: what their definitions mean, without IO. `objects` stands where built-in kinds have modules."""
