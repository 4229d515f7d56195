"""The template driver in examples/driver works as its README says, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "driver"


def environment(*folders: Path) -> dict[str, str]:
    """Return an environment in which Python finds the example's package as if it were installed."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders)), "PYTHONDONTWRITEBYTECODE": "1"}


def installed(folder: Path) -> Path:
    """Write the metadata that an installation of the example leaves, from its pyproject.toml."""
    project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text())["project"]
    metadata = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in points.items())]
    (metadata / "entry_points.txt").write_text("\n".join(lines) + "\n")
    return folder


def test_the_tests_of_the_template_pass(tmp_path: Path) -> None:
    """Its suite runs from its own folder and every test passes."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c", os.devnull]
    done = subprocess.run(
        [*command, "--rootdir", str(EXAMPLE), f"--basetemp={tmp_path / 'run'}", str(EXAMPLE / "tests")],
        env=environment(EXAMPLE / "src"),
        cwd=EXAMPLE,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_an_installed_package_adds_its_driver(tmp_path: Path) -> None:
    """The entry point in its pyproject.toml is all that the service needs to find the driver."""
    code = "from vulnfeeds.drivers.registry import load_drivers; print(list(load_drivers())[-1])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(installed(tmp_path), EXAMPLE / "src"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout.strip()) == (0, "example"), done.stderr
