"""Volume plugins, one module each."""
