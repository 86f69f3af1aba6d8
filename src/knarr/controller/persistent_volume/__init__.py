"""Binds claims to volumes, asks for volumes where there are none, and takes back those whose claims are gone.

Source: https://kubernetes.io/docs/concepts/storage/persistent-volumes/
"""

from knarr.controller.persistent_volume.controller import CONTROLLER

__all__ = ["CONTROLLER"]
