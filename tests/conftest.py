"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# A busy machine is no failure: how long things take is measured in `bench/`.
settings.register_profile("knarr", deadline=None)
settings.load_profile("knarr")
