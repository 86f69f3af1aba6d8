"""Names for the shapes that run through everything."""

from __future__ import annotations

from typing import Any, TypeAlias

#: A decoded API object (or a part of one): JSON as `orjson` gives it. Objects handed out by a cache are
#: read-only by agreement: copy before changing.
Object: TypeAlias = dict[str, Any]
