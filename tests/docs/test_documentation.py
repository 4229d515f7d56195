"""The documentation agrees with the program."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from vulnfeeds.cli import reference
from vulnfeeds.cli.app import Exit, build
from vulnfeeds.drivers.registry import load_drivers

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
FOREIGN = re.compile(r"\b(provider|updater|watermark|vulnsrc)s?\b", re.IGNORECASE)
"""Words of other projects that have no second, ordinary meaning here."""
LINK = re.compile(r"\]\(([^)\s]+)\)")
SOURCE_FILE = re.compile(r"`((?:[a-z_]+/)*[a-z_0-9]+\.py)(?::[^`]*)?`")


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every page of documentation by its name."""
    return {page.relative_to(ROOT).as_posix(): page.read_text("utf-8") for page in PAGES}


def test_settings_reference_is_current(texts: dict[str, str]) -> None:
    """docs/configuration.md is what `vulnfeeds config reference` writes: every setting with meaning and default."""
    assert texts["docs/configuration.md"] == reference.configuration(load_drivers())


def test_every_setting_has_a_meaning(texts: dict[str, str]) -> None:
    """No row of the settings reference is without a text."""
    rows = [line for line in texts["docs/configuration.md"].splitlines() if line.startswith("| `")]
    assert [row for row in rows if row.rstrip(" |").endswith("`")] == []


def test_command_reference_is_current(texts: dict[str, str]) -> None:
    """docs/commands.md is what `vulnfeeds config commands` writes: every command with its options."""
    assert texts["docs/commands.md"] == reference.commands(build())


def test_readme_shows_every_command(texts: dict[str, str]) -> None:
    """The first screen names every command."""
    for name in build().resolved_commands():
        if not name.startswith("-"):
            assert name in texts["README.md"], f"README.md does not name the command {name}"


def test_every_driver_has_a_page() -> None:
    """docs/drivers has a page for each driver, and none for a driver that is gone."""
    pages = {page.stem for page in (ROOT / "docs" / "drivers").glob("*.md")} - {"README"}
    assert set(load_drivers()) == pages


def test_every_route_is_described(texts: dict[str, str]) -> None:
    """Every path of the served OpenAPI document is on the API's page."""
    from vulnfeeds.api import openapi

    missing = [path for path in openapi.document()["paths"] if path not in texts["docs/api.md"]]
    assert missing == []


def test_every_exit_code_is_described(texts: dict[str, str]) -> None:
    """docs/operations.md has a row for each exit code."""
    for code in Exit:
        assert re.search(rf"^\| {code.value} \|", texts["docs/operations.md"], re.MULTILINE), code


def test_readme_sets_up_in_two_lines(texts: dict[str, str]) -> None:
    """Exactly two lines set up: one starts the service, one passes the tests."""
    lines = [line for line in texts["README.md"].splitlines() if "-m venv" in line]
    assert lines == [
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/vulnfeeds up",
        "python3 -m venv .venv && .venv/bin/pip install -q -e '.[test]' && .venv/bin/pytest",
    ]


def test_links_lead_somewhere() -> None:
    """Every relative link leads to a file, and its fragment to a heading of that file."""
    broken = []
    for page in PAGES:
        for target in LINK.findall(page.read_text("utf-8")):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, fragment = target.partition("#")
            file = (page.parent / name).resolve() if name else page
            if not file.exists() or (fragment and fragment not in _anchors(file)):
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_files_of_the_flows_exist(texts: dict[str, str]) -> None:
    """docs/architecture.md names files that are there."""
    named = SOURCE_FILE.findall(texts["docs/architecture.md"])
    assert named
    assert [name for name in named if not (ROOT / "src" / "vulnfeeds" / name).is_file()] == []


def test_decisions_are_numbered_without_holes() -> None:
    """The decisions are 0001, 0002, ... and each is named with its number in its title."""
    pages = sorted((ROOT / "docs" / "adr").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for number, page in enumerate(pages, 1):
        assert page.read_text("utf-8").startswith(f"# {number}. ")


def test_every_dependency_has_a_reason(texts: dict[str, str]) -> None:
    """docs/adr/0002-libraries.md says why for each runtime dependency."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = [re.split(r"[\[><=~ ]", text)[0] for text in project["dependencies"]]
    assert [name for name in names if f"| {name}" not in texts["docs/adr/0002-libraries.md"]] == []


def test_our_own_words_are_used(texts: dict[str, str]) -> None:
    """Documentation and docstrings use the words of the glossary, not those of other projects."""
    found = [
        f"{name}: {match.group()}"
        for name, text in [*texts.items(), *_docstrings()]
        if name != "docs/glossary.md"
        for match in FOREIGN.finditer(text)
    ]
    assert found == []


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def _docstrings() -> Iterator[tuple[str, str]]:
    for path in sorted((ROOT / "src" / "vulnfeeds").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield path.relative_to(ROOT).as_posix(), ast.get_docstring(node) or ""
