"""grype itself, where one is on PATH, with a cache of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GRYPE = shutil.which("grype")
OLD_GRYPE = shutil.which(os.environ.get("VULNFEEDS_TEST_GRYPE3", "grype-0.27"))
"""One that reads schema 3, as Anchore Engine 1.1 has it."""


@dataclass(frozen=True)
class Grype:
    """grype with a cache of its own, asking a service of ours."""

    environment: dict[str, str]
    program: str = GRYPE or ""

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run a command to its end; its exit code must be `code`."""
        done = subprocess.run(
            [self.program, *arguments], env=self.environment, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, f"exit code {done.returncode}\n{done.stdout[:2000]}\n{done.stderr[-2000:]}"
        return done.stdout

    def matches(self, what: str) -> dict[str, Any]:
        """Return what a scan says of each vulnerability that it finds."""
        found = json.loads(self.run(what, "-o", "json"))["matches"]
        return {match["vulnerability"]["id"]: match["vulnerability"] for match in found}

    def scan(self, what: str) -> set[str]:
        """Return the vulnerabilities that a scan finds."""
        return set(self.matches(what))

    def but(self, **environment: str) -> Grype:
        """Return one with other variables."""
        return Grype({**self.environment, **environment}, self.program)


def grype_with(cache: Path, address: str) -> Grype:
    """Return a grype with a cache of its own that asks an address for databases, and nobody else for anything."""
    return Grype(
        {
            "PATH": os.environ["PATH"],
            "HOME": str(cache),
            "GRYPE_DB_UPDATE_URL": address,
            "GRYPE_DB_CACHE_DIR": str(cache / "db"),
            "GRYPE_CHECK_FOR_APP_UPDATE": "false",
            "GRYPE_DB_MAX_UPDATE_CHECK_FREQUENCY": "0",
        }
    )
