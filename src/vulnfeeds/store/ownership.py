"""Who runs a task, and is that process still alive."""

from __future__ import annotations

import os
import socket
from pathlib import Path


def this_process() -> str:
    """Return the owner string of this process: host, process id and when the process started."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{_started(pid)}"


def is_gone(owner: str) -> bool:
    """Return whether the owner ran on this host and its process is no more (a reused process id does not count)."""
    host, _, rest = owner.rpartition(":")
    host, _, pid = host.rpartition(":")
    if host != socket.gethostname() or not pid.isdecimal():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _started(int(pid)) != rest


def _started(pid: int) -> str:
    """Return the boot and the clock tick at which a process started; "" where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
        # The name, in brackets, may hold spaces and brackets itself; field 22 is the 20th after it.
        tick = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
    return f"{boot}.{tick}"
