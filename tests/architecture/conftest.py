"""What the source tree holds, read without importing it."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Module:
    """One source file."""

    path: Path

    @property
    def name(self) -> str:
        """Path from the repository's root, for messages."""
        return self.path.relative_to(ROOT).as_posix()

    @property
    def part(self) -> str:
        """First name below the package: `records`, `drivers`, ..., or the module's own name at the top."""
        inside = self.path.relative_to(ROOT / "src" / "vulnfeeds").parts
        return inside[0].removesuffix(".py")

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.path.read_text("utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text)

    def imports(self) -> set[str]:
        """Full names of our own modules that it imports, wherever the import stands."""
        found: set[str] = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module} | {f"{node.module}.{name.name}" for name in node.names}
        return {name for name in found if name.split(".")[0] == "vulnfeeds"}


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """All modules of the package."""
    return [Module(path) for path in sorted((ROOT / "src" / "vulnfeeds").rglob("*.py"))]


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT
