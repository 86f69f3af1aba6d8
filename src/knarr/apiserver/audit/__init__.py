"""The audit log: who asked for what, and what came of it, as far as a policy wants it written down."""
