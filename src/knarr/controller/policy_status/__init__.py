"""The status of ValidatingAdmissionPolicies: what is wrong with their expressions, given the kinds they are about."""

from __future__ import annotations

from knarr.controller.policy_status.controller import CONTROLLER

__all__ = ["CONTROLLER"]
