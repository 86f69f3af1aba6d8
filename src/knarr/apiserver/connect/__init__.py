"""Subresources that lead out of the API server: log, exec, attach, portforward, proxy."""
