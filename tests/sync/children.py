"""What child processes do in the tests of supervision: go well, or go wrong in every way that a driver can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.sync import scripted
from vulnfeeds.sync.outcome import RunResult


def enter(order: dict[str, Any], tell: Any) -> RunResult:
    """Do what `order["do"]` says, then run the driver that it names."""
    tell({"phase": "begun", "pid": os.getpid()})
    _DO[order["do"]](order)
    return scripted.enter(order, tell)


class Unreadable:
    """An order that cannot be read in the child: its module is not there."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Name something that only the parent could import."""
        return (__import__, ("no_such_module_anywhere",))


def _hog(order: dict[str, Any]) -> None:
    bytearray(1 << 30)


def _hog_slowly(order: dict[str, Any]) -> None:
    """Take memory that the limit of the data segment does not count: shared, as a mapped file is."""
    import mmap

    held = mmap.mmap(-1, 256 << 20)
    for place in range(0, len(held), 4096):
        held[place] = 1
    time.sleep(60)


def _spawn(order: dict[str, Any]) -> None:
    """Leave a process of one's own behind and hang."""
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path(order["home"], "grandchild").write_text(str(child.pid))
    time.sleep(60)


def _native(order: dict[str, Any]) -> None:
    """Never come back from native code that holds the interpreter."""
    import ctypes

    ctypes.PyDLL(None).sleep(60)


def _raise(order: dict[str, Any]) -> None:
    raise ValueError("broken")


def _linger(order: dict[str, Any]) -> None:
    """Keep the process from ending after its run."""
    import threading

    threading.Thread(target=time.sleep, args=(60,), daemon=False).start()


_DO = {
    "run": lambda order: None,
    "exit": lambda order: os._exit(7),
    "kill": lambda order: os.kill(os.getpid(), signal.SIGKILL),
    "hang": lambda order: time.sleep(60),
    "native": _native,
    "hog": _hog,
    "hog slowly": _hog_slowly,
    "raise": _raise,
    "linger": _linger,
    "spawn": _spawn,
}


def supervise_and_wait(arguments: list[str]) -> None:
    """Be a service that supervises a child which hangs, until something ends the service."""
    url, home = arguments
    from vulnfeeds.store.opening import open_store
    from vulnfeeds.sync.worker import supervise

    store = open_store(url)
    task_id = store.open_task("DriverExecutionTask", driver="scripted")
    order = {"do": "spawn", "home": home}
    supervise(
        enter,
        order,
        store=store,
        task_id=task_id,
        deadline_seconds=60,
        memory_mb=512,
        on_progress=lambda said: Path(home, "child").write_text(str(said["pid"])) and None,
    )


if __name__ == "__main__":
    supervise_and_wait(sys.argv[1:])
