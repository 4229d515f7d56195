"""Writes a folder mirror; a file whose content stays keeps its time, so that it counts as unchanged."""

from __future__ import annotations

import contextlib
import filecmp
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a file to write; at the end it takes the place of `path` unless it is equal to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    with new.open("wb", buffering=1 << 20) as file:
        yield file
    if path.is_file() and filecmp.cmp(new, path, shallow=False):
        new.unlink()
    else:
        new.replace(path)


def write(path: Path, data: bytes) -> None:
    """Write a whole file, unless it has that content."""
    with replacing(path) as file:
        file.write(data)
