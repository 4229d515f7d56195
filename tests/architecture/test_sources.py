"""Habits of the source that are worth a red test when they are lost."""

from __future__ import annotations

import ast
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

HARD_LIMIT = 500
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "manager", "managers", "common", "misc", "base"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError|for now|placeholder)\b")
# Built from parts so that this file does not hold what it looks for.
ONE_MACHINE = re.compile(r"(?<![\w./~-])/(?:" + "|".join(("work", "farm", "root", "home/[a-z]")) + r")/")

_DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def test_modules_stay_small(modules: list[Any]) -> None:
    """No module is longer than 500 lines: one idea each."""
    assert {m.name: n for m in modules if (n := m.text.count("\n")) > HARD_LIMIT} == {}


def test_module_names_say_something(modules: list[Any]) -> None:
    """No module has a name that would fit any content."""
    assert [m.name for m in modules if m.path.stem in SAYS_NOTHING] == []


def test_everything_public_has_a_docstring(modules: list[Any]) -> None:
    """Every module, and every public class, function and method in it, says what it is."""
    silent = []
    for module in modules:
        silent += [f"{module.name}: {name}" for name, node in _public(module.tree, "") if not ast.get_docstring(node)]
    assert silent == []


def test_only_the_edge_reads_the_environment(modules: list[Any]) -> None:
    """Nothing but the command line and the settings looks at the process's environment."""
    readers = [
        f"{module.name}:{node.lineno}"
        for module in modules
        if module.part not in ("cli", "config")
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("environ", "environb", "getenv"))
        or (isinstance(node, ast.alias) and node.name in ("environ", "environb", "getenv"))
    ]
    assert readers == []


def test_xml_is_read_in_two_places_only(modules: list[Any]) -> None:
    """XML has entities and depth: its two readers refuse document types and bound depth, as their tests show."""
    parsers = {"xml", "lxml", "defusedxml", "xmltodict", "pyexpat"}
    found = {
        module.name
        for module in modules
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        # The type of what a reader gives out parses nothing.
        and {each.name for each in node.names} != {"Element"}
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names])
        if name.partition(".")[0] in parsers
    }
    formats = "src/vulnfeeds/drivers/formats"
    assert found == {f"{formats}/elements.py", f"{formats}/oval.py"}


def test_only_the_command_line_prints(modules: list[Any]) -> None:
    """No other part writes to the screen or ends the process."""
    wrong = [
        f"{module.name}:{node.lineno}"
        for module in modules
        if module.part not in ("cli", "__main__")
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "sys.exit", "exit", "quit")
    ]
    assert wrong == []


def test_every_failure_is_caught_in_one_place_only(modules: list[Any]) -> None:
    """`except Exception` stands where a run becomes a failed task; elsewhere it may only clean up and raise again."""
    broad = [
        f"{module.name}:{node.lineno}"
        for module in modules
        if module.name != "src/vulnfeeds/sync/run.py"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.ExceptHandler) and _is_broad(node.type) and not _raises_again(node)
    ]
    assert broad == []


def test_nothing_is_unfinished(modules: list[Any]) -> None:
    """No source says that it is not done yet."""
    found = [f"{m.name}: {match.group()}" for m in modules if (match := UNFINISHED.search(m.text))]
    assert found == []


def test_no_path_of_one_machine(root: Path) -> None:
    """No tracked file names a folder that exists on one machine only."""
    found = []
    for path in _tracked(root):
        try:
            text = path.read_text("utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        found += [f"{path.relative_to(root)}: {match.group()}" for match in ONE_MACHINE.finditer(text)]
    assert found == []


def _tracked(root: Path) -> list[Path]:
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, check=False)
    if answer.returncode != 0:
        pytest.skip("needs the git repository: the list of tracked files comes from it")
    return [root / name for name in answer.stdout.decode().split("\0") if name]


def _public(node: ast.AST, prefix: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = [(prefix or "module", node)] if isinstance(node, ast.Module) else []
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith(
            "_"
        ):
            name = f"{prefix}{child.name}"
            if not any(ast.unparse(mark) in ("overload", "override") for mark in child.decorator_list):
                found.append((name, child))
            if isinstance(child, ast.ClassDef):
                found += _public(child, f"{name}.")
    return found


def _raises_again(handler: ast.ExceptHandler) -> bool:
    last = handler.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _is_broad(kind: ast.expr | None) -> bool:
    if kind is None:
        return True
    names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    return any(ast.unparse(name) in ("Exception", "BaseException") for name in names)
