"""Types and pure functions every API shares."""
