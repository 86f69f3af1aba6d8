"""What is loaded ahead is what a pod needs."""

from __future__ import annotations

import subprocess
import sys

_CODE = """
import sys
from knarr.apiserver import warming
before = set(sys.modules)
warming.warm()
loaded = set(sys.modules) - before
assert "knarr.api.validation.pods" in loaded, loaded
from knarr.api import registry
from knarr.api.validation import kinds
known = set(sys.modules)
assert kinds.find(registry.PODS) is not None and set(sys.modules) == known
"""


def test_the_rules_of_pods_are_loaded() -> None:
    subprocess.run([sys.executable, "-c", _CODE], check=True)
