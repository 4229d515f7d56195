"""What a process has used so far, as the kernel tells it."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from typing import Final

_PEAK: Final = "VmHWM:"


def peak_mb(pid: int | None = None) -> float:
    """Return the most resident memory that a process ever had, in MiB; of this process when `pid` is None.

    0.0 for another process that is gone, or where the kernel does not tell.
    """
    try:
        status = Path(f"/proc/{pid or 'self'}/status").read_text()
    except OSError:
        status = ""
    for line in status.splitlines():
        if line.startswith(_PEAK):
            return int(line.split()[1]) / 1024
    if pid is not None:
        return 0.0
    # Bytes on macOS; on Linux, where it would count the parent's memory too, /proc is there.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1024)


def cpu_seconds() -> float:
    """Return the processor time of this process, in seconds."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
