"""Bootstrap tokens: what they sign, and their end."""
