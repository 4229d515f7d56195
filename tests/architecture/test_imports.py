"""Imports go one way, as docs/architecture.md draws it."""

from __future__ import annotations

from typing import Any

ANYTHING = None
MAY_IMPORT: dict[str, set[str] | None] = {
    "errors": set(),
    "records": {"errors"},
    "catalog": {"errors"},
    "fetch": {"errors"},
    "drivers": {"errors", "records", "fetch"},
    "store": {"errors", "records"},
    "sync": {"errors", "records", "drivers", "fetch.interface", "store.interface"},
    "publish": {"errors", "records", "store.interface"},
    "api": {"errors", "records", "catalog", "publish", "store.interface", "web"},
    "web": {"errors", "catalog", "store.interface"},
    "sample": set(),
    "testing": {"errors", "records", "catalog", "fetch", "drivers", "store", "sync", "publish", "api", "web"},
    "config": {"errors", "drivers", "fetch"},
    "cli": ANYTHING,
    "__main__": ANYTHING,
    "__init__": set(),
}
"""What each part may import of ours, besides itself and the version number."""


def test_imports_go_one_way(modules: list[Any]) -> None:
    """A part imports only the parts below it, and of some of them only the interface."""
    wrong = []
    for module in modules:
        allowed = MAY_IMPORT[module.part]
        if allowed is ANYTHING:
            continue
        for name in module.imports():
            inside = name.removeprefix("vulnfeeds").removeprefix(".")
            if inside in ("", "__version__") or _within(inside, module.part):
                continue
            # `from vulnfeeds.store import interface` names both the package and the module.
            if any(_within(inside, part) or _within(part, inside) for part in allowed):
                continue
            wrong.append(f"{module.name} imports {name}")
    assert wrong == []


def test_every_part_has_a_rule(modules: list[Any]) -> None:
    """A new part of the package gets a place in the order before it gets code."""
    assert {module.part for module in modules} <= MAY_IMPORT.keys()


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
