"""The table of kinds: every one that is stored has rules."""

from __future__ import annotations

from knarr.api import registry
from knarr.api.validation import kinds
from knarr.api.validation.kind import Kind

#: Never stored: questions, and a view of components.
NOT_STORED = ("reviews", "bindings", "componentstatuses")


def test_every_stored_kind_has_rules() -> None:
    stored = [item for item in registry.RESOURCES if not item.plural.endswith(NOT_STORED[0])]
    stored = [item for item in stored if item.plural not in NOT_STORED[1:]]
    assert [item.plural for item in stored if (item.group, item.plural) not in kinds.covered()] == []
    assert all(isinstance(kinds.rules(item), Kind) for item in stored)
