"""How the C library keeps memory."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
#: Bytes of free memory at the end of a heap that are not given back: they would be asked for again at once.
_SLACK = 4 * 1024 * 1024


def map_blocks_from(size: int) -> None:
    """Let blocks of at least `size` bytes be mapped apart, and given back as soon as they are free.

    Left alone, glibc raises its limit (128 KiB) to the size of the largest such block that was freed. One list of
    megabytes, and the 256 KiB that a TLS transport reserves a connection come out of used memory, resident as a
    whole; mapped apart they take what was touched of them. A C library without the setting goes on as it does.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, size)
        mallopt(_M_TRIM_THRESHOLD, _SLACK)
