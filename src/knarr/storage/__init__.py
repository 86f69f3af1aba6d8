"""The store: one protocol, one thin driver a file."""
