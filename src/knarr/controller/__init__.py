"""Controllers, one pure module each."""
