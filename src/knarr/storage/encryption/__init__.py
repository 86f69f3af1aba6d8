"""Encryption of stored objects at rest, in the forms in which kube-apiserver stores them."""
