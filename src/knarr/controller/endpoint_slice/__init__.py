"""EndpointSlices: the pods behind every Service that has a selector, at most 100 a slice."""

from knarr.controller.endpoint_slice.controller import CONTROLLER, reconcile

__all__ = ["CONTROLLER", "reconcile"]
