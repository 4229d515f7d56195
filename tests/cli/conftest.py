"""The command as users have it: a process with an environment of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from vulnfeeds.drivers.registry import load_drivers

COMMAND = (sys.executable, "-m", "vulnfeeds")
START_SECONDS = 60.0
ON_BY_DEFAULT = sum(driver.default_on for driver in load_drivers([]).values())
"""How many drivers a service without settings runs."""
# Coverage of child processes is switched on by variables.
_KEPT = ("PATH", "LANG", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG", "COV_CORE_SOURCE", "COV_CORE_DATAFILE")


@dataclass
class Vulnfeeds:
    """Runs commands against one data folder."""

    home: Path
    environ: dict[str, str] = field(default_factory=dict)
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def environment(self, **more: str) -> dict[str, str]:
        """Return the environment of a command: little of the test's own."""
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {**kept, "HOME": str(self.home.parent), "VULNFEEDS_HOME": str(self.home), **self.environ, **more}

    def run(self, *arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end and return it; its exit code must be `code`."""
        done = subprocess.run(
            [*COMMAND, *arguments],
            env=self.environment(**environ),
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int = 0, **environ: str) -> Any:
        """Run a command with --json and return what it wrote."""
        return json.loads(self.run(*arguments, "--json", code=code, **environ).stdout)

    def start(self, *arguments: str, **environ: str) -> Service:
        """Start a service and return it when it serves."""
        log = self.home.parent / f"log-{len(self.started)}.txt"
        with log.open("w") as stream:
            process = subprocess.Popen(
                [*COMMAND, *arguments, "--port", "0"],
                env=self.environment(**environ),
                cwd=self.home.parent,
                stdout=stream,
                stderr=stream,
                text=True,
            )
        self.started.append(process)
        service = Service(process, log)
        service.address = wait_for(service.serving, f"{arguments} to serve", service)
        return service


@dataclass
class Service:
    """A service that runs."""

    process: subprocess.Popen[str]
    log: Path
    address: str = ""

    def text(self) -> str:
        """Return its log."""
        return self.log.read_text()

    def serving(self) -> str:
        """Return the address that it serves on, "" while it does not."""
        assert self.process.poll() is None, self.text()
        found = re.search(r"serving address=(\S+)", self.text())
        return found[1] if found else ""

    def get(self, path: str) -> Any:
        """Return the JSON that it answers."""
        with urllib.request.urlopen(f"{self.address}{path}", timeout=30) as answer:
            return json.load(answer)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)


def wait_for(condition: Callable[[], Any], what: str, service: Service, seconds: float = START_SECONDS) -> Any:
    """Return the first true value of a condition, asked 50 times a second; fail with the log when it never comes."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds} s for {what}\n{service.text()}")


@pytest.fixture
def vulnfeeds(tmp_path: Path) -> Iterator[Vulnfeeds]:
    """The command with a data folder of its own; what it started is ended after the test."""
    commands = Vulnfeeds(tmp_path / "home")
    yield commands
    for process in commands.started:
        if process.poll() is None:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
            process.wait()


@pytest.fixture(scope="session")
def filled_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the sample in it; tests that change it copy it first."""
    home = tmp_path_factory.mktemp("filled") / "home"
    commands = Vulnfeeds(home)
    from vulnfeeds.cli.compose import sample_upstream

    commands.run("sync", VULNFEEDS_UPSTREAM_MIRROR=str(sample_upstream()))
    return home


@pytest.fixture
def filled(filled_home: Path) -> Vulnfeeds:
    """The command over a data folder with the sample in it, for commands that only look."""
    return Vulnfeeds(filled_home)
