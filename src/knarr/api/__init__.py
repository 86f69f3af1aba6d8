"""The API's kinds: tables, defaults, validation, printing."""
