"""Which requests webhooks and policies are about, and their objects in the version that a rule names; pure."""
