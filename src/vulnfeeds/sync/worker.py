"""The process that a run lives in, and its supervision: nothing that a driver does can hurt anyone else.

parent                                   child (a session of its own)
supervise ── spawn ────────────────────▶ limit memory, watch the parent, enter(order, tell)
   ◀────────── progress … ──────────────  execute: fetch … publish, closes the task
   ◀────────── how it ended ────────────
beats the task, watches deadline and memory, kills the child's whole process group, and closes the task when
the child did not.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import resource
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from typing import Any, Final, Protocol

import msgspec

from vulnfeeds.errors import CrashError, DeadlineError, MemoryCeilingError, RunError, StoreError
from vulnfeeds.store.interface import Store, TaskFilter
from vulnfeeds.sync import usage
from vulnfeeds.sync.outcome import FAILED, RunResult, describe
from vulnfeeds.sync.reporting import Tell
from vulnfeeds.sync.run import attempt

ABORTED: Final = "task aborted due to service restart"
"""What the original service says of tasks that a stop cut short; programs look for it."""
BEAT_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 0.25
"""How often the parent looks at the clock and at the child's memory."""
GRACE_SECONDS: Final = 10.0
"""How long a child may take to end after it said how its run ended."""
_ALARM_SECONDS: Final = 10.0
"""How long after its deadline a child ends itself when nobody else did."""
_MB: Final = 1 << 20
_GC: Final = (50_000, 20, 50)

Enter = Callable[[Any, Tell], RunResult]
"""What the child does: open its own store and fetcher as the order says, execute, close them. It must be importable,
and the order must survive pickling."""


class RunOutcome(msgspec.Struct, frozen=True):
    """How a supervised run ended."""

    status: str
    result: dict[str, Any]
    """What the task keeps."""
    seconds: float
    peak_mb: float
    """Most resident memory that the parent saw; 0.0 where the system does not tell."""


class StopEvent(Protocol):
    """Says that the service is ending."""

    def is_set(self) -> bool:
        """Return whether to stop now."""
        ...


def supervise(
    enter: Enter,
    order: Any,
    *,
    store: Store,
    task_id: int,
    deadline_seconds: float,
    memory_mb: int,
    on_progress: Tell = lambda said: None,
    stop: StopEvent | None = None,
    grace_seconds: float = GRACE_SECONDS,
) -> RunOutcome:
    """Run `enter(order, tell)` in a process of its own and see to it that the open task ends.

    Returns when the process and all that it started are gone. Raises StoreError when the store cannot be asked how
    the task ended, and OSError when no process can be started; the task is then still running.
    """
    began = time.monotonic()
    child = _Child(enter, order, memory_mb, deadline_seconds)
    watch = _Watch(child, store, task_id, memory_mb=memory_mb, stop=stop, grace_seconds=grace_seconds)
    try:
        answer, failure = watch.until_ended(began + deadline_seconds, on_progress)
    finally:
        child.end()
    if answer is None:
        status, result = _close(store, task_id, failure or child.crash(), watch.peak_mb)
    else:
        status, result = _closed(store, task_id, answer)
    return RunOutcome(status, result, round(time.monotonic() - began, 3), round(watch.peak_mb, 1))


def _closed(store: Store, task_id: int, answer: RunResult) -> tuple[str, dict[str, Any]]:
    """Return the child's answer, and end the task when it failed before it could do so itself."""
    if answer.status == FAILED:
        store.close_task(task_id, FAILED, answer.result)
    return answer.status, answer.result


def _close(store: Store, task_id: int, failure: RunError, peak_mb: float) -> tuple[str, dict[str, Any]]:
    """End the task of a child that did not answer, unless it published and died after that."""
    result = {**describe(failure), "peak_mb": round(peak_mb, 1)}
    if store.close_task(task_id, FAILED, result):
        return FAILED, result
    row = next(iter(store.tasks(TaskFilter(task_id=task_id))), None)
    if row is None:
        return FAILED, result
    return row.status, row.result or {}


class _Child:
    """A spawned process, its session, and the two pipes to it."""

    def __init__(self, enter: Enter, order: Any, memory_mb: int, deadline_seconds: float) -> None:
        context = get_context("spawn")
        # Pickled here, so that an import that fails in the child fails where it can be reported.
        work = pickle.dumps((enter, order))
        self.answers, answering = context.Pipe(duplex=False)
        listening, self._lifeline = context.Pipe(duplex=False)
        self.process = context.Process(
            target=_main, args=(work, answering, listening, memory_mb, deadline_seconds), daemon=False
        )
        try:
            self.process.start()
        except BaseException:
            self.answers.close()
            self._lifeline.close()
            raise
        finally:
            answering.close()
            listening.close()

    @property
    def pid(self) -> int:
        return self.process.pid or 0

    def kill(self) -> None:
        """End the process and everything in its session, at once: a run can be killed at any instant."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        # Until it has its own session the group of that number does not exist.
        self.process.kill()

    def end(self) -> None:
        """See to it that nothing of the process is left, and free what it held here."""
        self.kill()
        self.process.join()
        self.answers.close()
        self._lifeline.close()

    def crash(self) -> CrashError:
        """Return what is known of a process that ended without an answer; only after `end`."""
        code = self.process.exitcode or 0
        if code < 0:
            with contextlib.suppress(ValueError):
                return CrashError(f"the run's process was ended by {signal.Signals(-code).name}")
        return CrashError(f"the run's process ended with exit code {code} and no answer")


class _Watch:
    """Waits for a child's answer and for anything that ends its run before that."""

    def __init__(
        self,
        child: _Child,
        store: Store,
        task_id: int,
        *,
        memory_mb: int,
        stop: StopEvent | None,
        grace_seconds: float,
    ) -> None:
        self._child = child
        self._store = store
        self._task_id = task_id
        self._memory_mb = memory_mb
        self._stop = stop
        self._grace_seconds = grace_seconds
        self._beat_at = 0.0
        self.peak_mb = 0.0

    def until_ended(self, deadline: float, on_progress: Tell) -> tuple[RunResult | None, RunError | None]:
        """Return the answer, or why the child must go; (None, None) when it went by itself without an answer."""
        child = self._child
        while True:
            ready = wait([child.answers, child.process.sentinel], timeout=LOOK_SECONDS)
            if child.answers in ready:
                message = self._receive()
                if isinstance(message, RunResult):
                    child.process.join(self._grace_seconds)
                    return message, None
                if message is None:
                    return None, self._ended_without_answer()
                on_progress(message)
            elif ready:
                return None, None
            if failure := self._failure(deadline):
                child.kill()
                return None, failure
            self._beat()

    def _receive(self) -> RunResult | dict[str, Any] | None:
        """Return an answer, a progress, or None when there will be none any more."""
        try:
            message: RunResult | dict[str, Any] = self._child.answers.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        return message

    def _ended_without_answer(self) -> RunError | None:
        # The pipe closes a moment before the process is gone; its exit code tells more than a signal from here.
        self._child.process.join(self._grace_seconds)
        return None

    def _failure(self, deadline: float) -> RunError | None:
        if self._stop is not None and self._stop.is_set():
            return RunError(ABORTED)
        if time.monotonic() > deadline:
            return DeadlineError("the run took longer than its driver may (deadline_seconds)")
        self.peak_mb = max(self.peak_mb, usage.peak_mb(self._child.pid))
        if self.peak_mb > self._memory_mb:
            return MemoryCeilingError(
                f"the run took {self.peak_mb:.0f} MB of memory, its driver may take {self._memory_mb} (memory_mb)"
            )
        return None

    def _beat(self) -> None:
        now = time.monotonic()
        if now - self._beat_at >= BEAT_SECONDS:
            self._beat_at = now
            # A store that is away for a moment must not end a run that does not need it yet.
            with contextlib.suppress(StoreError):
                self._store.beat([self._task_id])


# --- in the child -----------------------------------------------------------------------------------------------


def _main(work: bytes, answers: Connection, lifeline: Connection, memory_mb: int, deadline_seconds: float) -> None:
    os.setsid()
    # The service's terminal and the init system talk to the parent, which ends this process itself.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _limit(memory_mb, deadline_seconds)
    # A run makes millions of small objects and hardly a cycle among them: a fifth of its time went into looking.
    gc.set_threshold(*_GC)
    threading.Thread(target=_die_with_parent, args=(lifeline,), name="lifeline", daemon=True).start()
    lock = threading.Lock()

    def send(message: RunResult | dict[str, Any]) -> None:
        with lock, contextlib.suppress(BrokenPipeError):
            answers.send(message)

    def call() -> RunResult:
        enter, order = pickle.loads(work)  # noqa: S301 - made by our own parent
        result: RunResult = enter(order, send)
        return result

    send(attempt(call))


def _limit(memory_mb: int, deadline_seconds: float) -> None:
    """Let the kernel refuse memory beyond the ceiling, and end a process whose parent could not any more."""
    if hasattr(resource, "RLIMIT_DATA"):
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        ceiling = memory_mb * _MB
        if hard != resource.RLIM_INFINITY:
            ceiling = min(ceiling, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_DATA, (ceiling, hard))
    # Its default action needs no interpreter: it works while native code never comes back.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, deadline_seconds + _ALARM_SECONDS)


def _die_with_parent(lifeline: Connection) -> None:
    """Wait until the parent is gone, which closes its end of the pipe, and take the whole session along."""
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os.killpg(os.getpid(), signal.SIGKILL)
