"""Makes device claims of pods from their templates, and takes back what no pod uses any more (KEP-4381)."""

from knarr.controller.resource_claim.controller import CONTROLLER

__all__ = ["CONTROLLER"]
