"""The sandbox's process: holds a pod's namespaces, reaps orphans, ends at once on TERM.

On x86-64 it is a static program of 238 bytes that this module assembles; elsewhere busybox-static runs a shell loop
that does the same. No compiler and no registry is needed.
"""

from __future__ import annotations

import platform
import shutil
import struct
from pathlib import Path

from knarr.cri.image_builder import Recipe

#: What containerd's `sandbox_image` and the kubelet's pause pods name.
IMAGE = "registry.k8s.io/pause:3.10.1"

_BASE = 0x400000
_HEADERS = 64 + 56
_SIGNALS = (2, 15, 17)  # INT, TERM, CHLD

#: Signals stay blocked and are taken one by one: a blocked signal is kept even for the first process of a namespace.
#: Jump distances are counted from the end of the jump.
_CODE = (
    "b80e000000"  # mov eax, 14            rt_sigprocmask
    "31ff"  # xor edi, edi            SIG_BLOCK
    "48be{set}"  # mov rsi, set
    "31d2"  # xor edx, edx
    "41ba08000000"  # mov r10d, 8
    "0f05"  # syscall
    # next (offset 27):
    "b880000000"  # mov eax, 128            rt_sigtimedwait
    "48bf{set}"  # mov rdi, set
    "31f6"  # xor esi, esi
    "31d2"  # xor edx, edx
    "41ba08000000"  # mov r10d, 8
    "0f05"  # syscall
    "83f811"  # cmp eax, 17             SIGCHLD
    "740c"  # je reap (+12)
    "83f80f"  # cmp eax, 15             SIGTERM
    "7425"  # je out (+37)
    "83f802"  # cmp eax, 2              SIGINT
    "7420"  # je out (+32)
    "ebd4"  # jmp next (-44)
    # reap (offset 71):
    "b83d000000"  # mov eax, 61             wait4
    "48c7c7ffffffff"  # mov rdi, -1
    "31f6"  # xor esi, esi
    "ba01000000"  # mov edx, 1              WNOHANG
    "4531d2"  # xor r10d, r10d
    "0f05"  # syscall
    "85c0"  # test eax, eax
    "7fe4"  # jg reap (-28)
    "ebb6"  # jmp next (-74)
    # out:
    "b83c000000"  # mov eax, 60             exit
    "31ff"  # xor edi, edi
    "0f05"  # syscall
)
_SHELL = "trap 'exit 0' TERM INT; while :; do sleep 86400 & wait; done"


def recipe() -> Recipe:
    """The image for this machine. Raises `FileNotFoundError` when it needs busybox-static and there is none."""
    if platform.machine() == "x86_64":
        return Recipe(IMAGE, {"pause": (_program(), 0o755)}, entrypoint=["/pause"], user="65535:65535")
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("the sandbox image needs a static busybox: install the package busybox-static")
    return Recipe(
        IMAGE,
        {"bin/busybox": (Path(busybox).read_bytes(), 0o755)},
        links={"bin/sh": "busybox", "bin/sleep": "busybox"},
        entrypoint=["/bin/sh", "-c", _SHELL],
        user="65535:65535",
    )


def _program() -> bytes:
    """A static ELF executable: headers, code, and the signal set behind it, in one read-only segment."""
    size = len(bytes.fromhex(_CODE.format(set="00" * 8)))
    mask = sum(1 << (signal - 1) for signal in _SIGNALS)
    address = struct.pack("<Q", _BASE + _HEADERS + size).hex()
    body = bytes.fromhex(_CODE.format(set=address)) + struct.pack("<Q", mask)
    total = _HEADERS + len(body)
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\x02\x01\x01" + bytes(9), 2, 62, 1, _BASE + _HEADERS, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, total, total, 0x1000)
    return header + segment + body
