"""The API's own description, OpenAPI v3, made of the type tables and the registry."""
