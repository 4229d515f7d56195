"""Options that several commands have, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Options:
    """Where the settings, the data folder and the store are."""

    config: Annotated[Path | None, Parameter(help="Settings file (TOML).")] = None
    home: Annotated[Path | None, Parameter(help="Data folder.")] = None
    store: Annotated[str | None, Parameter(help="sqlite:///FILE or postgresql://USER:PASSWORD@HOST/NAME.")] = None

    def flags(self) -> dict[str, Any]:
        """Return the options that stand for settings."""
        return {"home": self.home, "store": self.store}


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Output(Options):
    """Options of commands that show something."""

    json: Annotated[bool, Parameter(help="Write JSON, for programs.", negative="")] = False


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class Listening(Options):
    """Options of commands that serve."""

    host: Annotated[str | None, Parameter(help="Address to listen on.")] = None
    port: Annotated[int | None, Parameter(help="Port to listen on; 0 takes a free one.")] = None
    profile: Annotated[str | None, Parameter(help="A purpose that presets other settings: grype.")] = None

    def flags(self) -> dict[str, Any]:
        """Return the options that stand for settings."""
        return {**super().flags(), "host": self.host, "port": self.port, "profile": self.profile}
