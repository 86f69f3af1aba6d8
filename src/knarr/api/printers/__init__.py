"""What a Table answer shows of each kind: columns and rows, one module a group."""
