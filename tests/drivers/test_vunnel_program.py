"""Driver vunnel runs a program: what it is given, and whatever can go wrong with it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.conftest import Replay
from tests.drivers.driver_runs import bodies
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint
from vulnfeeds.drivers.vunnel.driver import VunnelDriver
from vulnfeeds.drivers.vunnel.settings import SourceSettings, VunnelSettings
from vulnfeeds.errors import LimitError, ParseError, UpstreamError
from vulnfeeds.testing.driver_suite import Trial

STAND_IN = Path(__file__).with_name("vunnel_stand_in.py")
ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token-that-nobody-may-see"
Make = Callable[..., Trial]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make the driver with a program as its only source; `behaviour` is what the stand-in does."""

    def made(behaviour: str = "good", **settings: Any) -> Trial:
        plain = {
            "program": sys.executable,
            "arguments": (str(STAND_IN),),
            "environment": {"BEHAVIOUR": behaviour, **settings.pop("environment", {})},
        }
        source = SourceSettings(**{**plain, **settings})
        return Trial(
            VunnelDriver,
            tmp_path / "upstream",
            tmp_path / "workspace",
            settings=VunnelSettings(sources={"lab": source}),
            secrets={"GITHUB_TOKEN": TOKEN, "NVD_API_KEY": "not given"},
        )

    return made


def test_a_program_gets_what_the_settings_give_it_and_nothing_else(make: Make, tmp_path: Path) -> None:
    """Its own variables, the named tokens, a copy of its settings file that leads it to our folder."""
    config = tmp_path / "vunnel.yaml"
    config.write_text("root: /nowhere\nlog: {level: DEBUG}\n")
    trial = make(config=str(config), secrets=("GITHUB_TOKEN",), environment={"MINE": "1"})
    records, context = trial.run()
    found = bodies(records)["lab:rolling", "CVE-2024-0001"]["Vulnerability"]["Description"]
    names, _, said = found.partition("{")
    # What the interpreter itself sets for a locale that the system does not know.
    assert set(names.split()) - {"LC_CTYPE"} == {
        *("PATH", "HOME", "TMPDIR", "LANG", "BEHAVIOUR", "MINE", "GITHUB_TOKEN")
    }
    assert said == "'level': 'DEBUG'}"
    assert context.covered == {("vulnerabilities", "lab:rolling")}


def test_results_that_stay_as_they_were_are_unchanged(make: Make) -> None:
    """A program that has nothing new leaves its workspace alone; that is no error, and the task says it."""
    trial = make("once")
    first, context = trial.fetch()
    assert isinstance(first, Checkpoint)
    trial.parse(context)
    answer, context = trial.fetch(first)
    assert answer == UNCHANGED
    assert context.notes == ["lab: the program left its results as they were"]


@pytest.mark.parametrize(
    ("behaviour", "settings", "reason"),
    [
        (
            "fails",
            {"secrets": ("GITHUB_TOKEN",)},
            r"exit code 1; its last output: ERROR no answer with token \*\*\*$",
        ),
        ("nothing", {}, r"ended well and left no workspace: no data/lab/metadata\.json"),
        ("garbage", {}, r"lab/metadata\.json: "),
        ("half", {}, r"lab/metadata\.json: names no listing of checksums"),
        ("good", {"program": "no-such-program"}, r"there is no program 'no-such-program' that can be run"),
        ("good", {"program": str(STAND_IN)}, r"there is no program '.*vunnel_stand_in\.py' that can be run"),
        ("good", {"config": "/no/such.yaml"}, r"sources\.lab\.config: /no/such\.yaml: No such file"),
        ("good", {"config": str(STAND_IN)}, r"sources\.lab\.config: "),
    ],
)
def test_a_program_that_does_not_do_its_work_ends_the_run(
    make: Make, behaviour: str, settings: dict[str, Any], reason: str
) -> None:
    """With its exit code and the end of what it said, without colours and tokens."""
    with pytest.raises((UpstreamError, ParseError), match=reason) as caught:
        make(behaviour, **settings).run()
    assert TOKEN not in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_token_that_is_not_set_is_missed_before_the_program_runs(make: Make) -> None:
    """The error names the setting and the variable."""
    trial = make("hangs", secrets=("NVD_API_KEY", "GITHUB_TOKEN"))
    trial._secrets = {"NVD_API_KEY": "x"}
    with pytest.raises(ParseError, match=r"sources\.lab\.secrets: GITHUB_TOKEN is not set"):
        trial.run()


def gone(pids: list[int]) -> bool:
    """Wait until no process of these is alive, for a while; a dead one that nobody waited for counts as gone."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        alive = [pid for pid in pids if psutil.pid_exists(pid)]
        if all(_is_zombie(pid) for pid in alive):
            return True
        time.sleep(0.02)
    return False


def _is_zombie(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_program_that_hangs_is_ended_with_its_children(make: Make) -> None:
    """The deadline is the source's own; the error has the end of the output."""
    trial = make("hangs", seconds=2)
    with pytest.raises(LimitError, match=r"took longer than 2 seconds; its last output: waiting for \d+$"):
        trial.run()
    pids = (trial.workspace / "lab" / "pids").read_text().split()
    assert len(pids) == 2
    assert gone([int(pid) for pid in pids])


def test_a_program_does_not_outlive_its_run(tmp_path: Path) -> None:
    """When the run's process is killed from outside, the program and its children end, too."""
    code = (
        "import sys; from pathlib import Path; from vulnfeeds.drivers.vunnel.program import Call, run\n"
        "run(Call(name='x', command=sys.argv[2:], folder=Path(sys.argv[1]), seconds=600,"
        " environment={'BEHAVIOUR': 'hangs', 'PATH': '/usr/bin:/bin'}))"
    )
    settings = tmp_path / "settings.yaml"
    settings.write_text(json.dumps({"root": str(tmp_path)}))
    program = [sys.executable, str(STAND_IN), "-c", str(settings), "run", "lab"]
    with subprocess.Popen([sys.executable, "-c", code, str(tmp_path), *program]) as run:
        written = tmp_path / "pids"
        deadline = time.monotonic() + 60
        while not (written.exists() and len(written.read_text().split()) == 2) and time.monotonic() < deadline:
            time.sleep(0.02)
        pids = [int(pid) for pid in written.read_text().split()]
        os.kill(run.pid, signal.SIGKILL)
    assert gone(pids)


def test_the_command_publishes_what_a_program_makes_and_nothing_of_what_it_spoils(tmp_path: Path) -> None:
    """From a settings file: a group is served; then the program fails, the task says why, the group stays."""
    home = tmp_path / "home"
    (tmp_path / "vulnfeeds.toml").write_text(
        f"""
drivers = ["vunnel"]
[driver.vunnel.sources.lab]
program = "{sys.executable}"
arguments = ["{STAND_IN}"]
secrets = ["GITHUB_TOKEN"]
"""
    )
    kept = {name: value for name, value in os.environ.items() if name == "PATH" or name.startswith("COV")}

    def vulnfeeds(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {**kept, "VULNFEEDS_HOME": str(home), "HOME": str(tmp_path), "GITHUB_TOKEN": TOKEN, **more}
        command = [sys.executable, "-m", "vulnfeeds", *arguments]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    first = vulnfeeds("sync", "vunnel")
    assert first.returncode == 0, first.stderr
    spoilt = vulnfeeds("sync", "vunnel", VULNFEEDS_DRIVER__VUNNEL__SOURCES__LAB__ENVIRONMENT="BEHAVIOUR=fails")
    assert spoilt.returncode != 0
    (task,) = json.loads(
        vulnfeeds("tasks", "--filter", "driver_id=vunnel,status=failed", "--details", "--json").stdout
    )
    assert "exit code 1; its last output: ERROR no answer with token ***" in json.dumps(task)
    (group,) = json.loads(vulnfeeds("groups", "--json").stdout)
    assert (group["feed"], group["group"], group["records"]) == ("vulnerabilities", "lab:rolling", 1)


@pytest.mark.skipif(shutil.which("vunnel") is None, reason="no vunnel on PATH")
def test_the_real_vunnel_makes_what_our_own_driver_makes(replay: Replay, tmp_path: Path, upstreams: Any) -> None:
    """Of the same documents both have the same ids, packages and versions."""
    from vulnfeeds.drivers.rolling import WolfiDriver

    site = tmp_path / "site"
    site.mkdir()
    shutil.copyfile(ROOT / "benchmarks" / "detour.py", site / "sitecustomize.py")
    environment = {"PYTHONPATH": str(site), "DETOUR_MIRROR": replay.address, "DETOUR_FIX_DATES": "off"}
    source = SourceSettings(program=str(shutil.which("vunnel")), environment=environment, prefix="")
    settings = VunnelSettings(sources={"wolfi": source})
    records, _ = Trial(VunnelDriver, tmp_path, tmp_path / "workspace", settings=settings).run()
    own, _ = upstreams(WolfiDriver).run()
    assert said(records) == said(own)


def said(records: list[Any]) -> set[tuple[str, ...]]:
    """Return (group, id, package, version) of each fix."""
    return {
        (group, key, fix["Name"], fix["Version"])
        for (group, key), body in bodies(records).items()
        for fix in body["Vulnerability"]["FixedIn"]
    }
