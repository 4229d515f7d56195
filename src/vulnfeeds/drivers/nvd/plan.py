"""What passes between the parts of a run of nvdv2, and from one run to the next: settings, cursor, plan."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal

import msgspec

from vulnfeeds.drivers.interface import DriverSettings
from vulnfeeds.drivers.nvd import feeds
from vulnfeeds.errors import SettingsError

FEED: Final = "nvdv2"
GROUP: Final = "nvdv2:cves"


class NVDv2Settings(DriverSettings, frozen=True, kw_only=True):
    """Where the NVD's records come from, and how far version ranges are expanded."""

    source: Literal["auto", "feeds", "api"] = "auto"
    """`feeds`: yearly feed files and the `modified` one; `api`: the API alone, with a crawl of everything at first;
    `auto`: feed files for the first load, then the API, and feed files again while the API cannot be had."""
    first_year: int = feeds.FIRST_YEAR
    """First yearly feed file to read; 2002 holds 1999 to 2002 too. The API knows no such limit."""
    overlap_seconds: float = 7200.0
    """How far a window of the API reaches back before the end of the last one, so that what the NVD shows late
    loses nothing."""
    overrides: bool = False
    """Correct the NVD by github.com/anchore/nvd-data-overrides (CC0): configurations of CVEs that the NVD has not
    analysed, and records of CVEs that it does not have."""
    max_versions_per_range: int = 256
    """Most known versions that one range is expanded to; the newest are taken. 0 leaves the inclusive bounds."""

    def __post_init__(self) -> None:
        """Refuse values that make no sense, with the name of the setting."""
        if self.overlap_seconds < 0:
            raise SettingsError(f"driver.nvdv2.overlap_seconds must not be negative, but is {self.overlap_seconds}")
        if self.max_versions_per_range < 0:
            raise SettingsError(
                f"driver.nvdv2.max_versions_per_range must not be negative, but is {self.max_versions_per_range}"
            )


class Cursor(msgspec.Struct, frozen=True):
    """Position in the NVD, as the checkpoint holds it."""

    run: int
    """Number of the run; the index of products counts the same way."""
    index: str
    """Identity of the index of products that the run wrote."""
    modified_at: datetime
    """All that was modified before is in hand."""
    digests: dict[str, str]
    """Digest of each feed file that is in hand, by the file's name, and of the archive of overrides."""


class Plan(msgspec.Struct, frozen=True):
    """What `fetch` leaves for `parse`."""

    run: int
    index: str
    documents: tuple[str, ...]
    """Documents below the workspace; of two items of equal age the later document's counts."""
    published: int | None
    """Number of the last published run; None for a whole run."""
    overrides: bool = False
    """Whether overrides are applied."""
    archive: str | None = None
    """The archive of overrides below the workspace; None when that of the last published run holds."""
