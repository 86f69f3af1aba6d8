"""Pod specs that were found good: the pods of one workload need not be looked at each.

They differ in nothing but the end of one volume's name, which the server has made up. What was found wrong is looked
at again, since its faults have to be told with their paths.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import orjson

from knarr.apimachinery.types import Object

#: How many specs are remembered, and the size up to which they are (bytes).
_MOST, _LONGEST = 256, 8192
#: The volume with the token, by its generated name.
_GENERATED = re.compile(rb'"kube-api-access-[bcdfghjklmnpqrstvwxz2456789]{5}"')
#: Stands for it; nothing that JSON can contain.
_SOME_NAME = b"\0"


class Known:
    """Remembers for what a check has found nothing; `check(spec)` tells whether it found nothing."""

    def __init__(self) -> None:
        self._good: dict[bytes, None] = {}

    def passes(self, spec: Object, check: Callable[[], bool]) -> bool:
        """Whether a spec is good: as remembered, or as `check` says, which must look at nothing else."""
        try:
            text = _text(spec)
        except orjson.JSONEncodeError:
            # Nothing can hold it: somebody else tells of that.
            return check()
        if text in self._good:
            return True
        good = check()
        if good and len(text) <= _LONGEST:
            if len(self._good) >= _MOST:
                # The oldest goes.
                del self._good[next(iter(self._good))]
            self._good[text] = None
        return good


def _text(spec: Object) -> bytes:
    text = orjson.dumps(spec)
    generated = _GENERATED.search(text)
    return text.replace(generated[0], _SOME_NAME) if generated is not None else text
