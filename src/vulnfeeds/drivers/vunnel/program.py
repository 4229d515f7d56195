"""A program, run with the variables that it is given and nothing else, and within a deadline."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from vulnfeeds.errors import LimitError, UpstreamError

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
"""Where programs are looked for when the settings do not say."""
TAIL_CHARACTERS: Final = 2000
"""So much of the end of the output stands in an error."""

_KEEPER: Final = Path(__file__).with_name("keeper.py")
_TAIL_BYTES: Final = 16 * TAIL_CHARACTERS
_OUTPUT_SECONDS: Final = 5.0
"""How long to wait for the end of the output: a process that left the session may hold it open."""
_COLOURS: Final = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A program to run."""

    name: str
    """What it is called in errors."""
    command: Sequence[str]
    folder: Path
    """Where it runs."""
    environment: Mapping[str, str]
    """All its variables; PATH is also where it is looked for."""
    seconds: float
    """How long it may take."""
    hidden: Sequence[str] = ()
    """Texts that errors must not show."""


def run(call: Call) -> None:
    """Run a program to its end.

    Raises UpstreamError, with the end of its output, when it cannot be started or fails, LimitError when it takes
    longer than it may. Nothing that it started is left then, nor when this process is ended.
    """
    program = shutil.which(call.command[0], path=call.environment.get("PATH", PATH))
    if program is None:
        raise UpstreamError(call.name, f"there is no program {call.command[0]!r} that can be run")
    reading, writing = os.pipe()
    try:
        try:
            process = subprocess.Popen(  # noqa: S603 - the operator's own program
                [sys.executable, "-I", "-S", str(_KEEPER), str(writing), program, *call.command[1:]],
                cwd=call.folder,
                env=dict(call.environment),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(writing,),
                start_new_session=True,
            )
        finally:
            os.close(writing)
        _watch(process, call, reading)
    finally:
        os.close(reading)


def _watch(process: subprocess.Popen[bytes], call: Call, answers: int) -> None:
    output = _Tail(process)
    try:
        process.wait(call.seconds)
    except subprocess.TimeoutExpired:
        _end(process)
        raise LimitError(call.name, f"took longer than {call.seconds:g} seconds{output.text(call.hidden)}") from None
    finally:
        _end(process)
    answer = os.read(answers, 1024).decode("utf-8", "replace")
    if answer != "0":
        raise UpstreamError(call.name, _failure(answer) + output.text(call.hidden))


def _failure(answer: str) -> str:
    try:
        code = int(answer)
    except ValueError:
        return f"cannot be started: {answer}" if answer else "was ended from outside"
    with suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole session, unless it has ended."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    if process.stdin is not None:
        process.stdin.close()


class _Tail:
    """The end of a program's output, read as it comes so that the program never waits for us."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._stream = process.stdout
        self._kept = b""
        self._thread = threading.Thread(target=self._read, name="output", daemon=True)
        self._thread.start()

    def text(self, hidden: Sequence[str]) -> str:
        """Return what was said last, "" when nothing was; the program has ended."""
        self._thread.join(_OUTPUT_SECONDS)
        text = _COLOURS.sub("", self._kept.decode("utf-8", "replace"))
        for secret in filter(None, hidden):
            text = text.replace(secret, "***")
        plain = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text).strip()
        return f"; its last output: {plain[-TAIL_CHARACTERS:]}" if plain else ""

    def _read(self) -> None:
        if self._stream is None:
            return
        with self._stream as stream, suppress(OSError):
            while block := os.read(stream.fileno(), 1 << 16):
                self._kept = (self._kept + block)[-_TAIL_BYTES:]
