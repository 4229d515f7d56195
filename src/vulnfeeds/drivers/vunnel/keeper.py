"""Runs a program in a session of its own: when it ends, or when we do, nothing that it started is left.

    python -I -S keeper.py FD COMMAND...      how the command ended is written to FD

It is a process between the run and the program, the leader of that session. Its standard input is a pipe whose other
end only the run's process has: whatever ends that one closes the pipe. It imports nothing of this package.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading


def main(status: int, command: list[str]) -> None:
    """Run the command, write its exit code or why it could not be started, and end the whole session."""
    # A run ignores it, and what is ignored stays so in every program that is started.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    threading.Thread(target=_end_with_the_run, daemon=True).start()
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 - the operator's own program
    except (OSError, ValueError) as error:
        answer = getattr(error, "strerror", None) or str(error)
    else:
        answer = str(process.wait())
    os.write(status, answer.encode())
    os.killpg(0, signal.SIGKILL)


def _end_with_the_run() -> None:
    while os.read(0, 1):
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
