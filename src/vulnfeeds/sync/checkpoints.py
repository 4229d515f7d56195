"""What is kept between runs of a driver: its checkpoint, and what must be the same for it to hold. Pure."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from vulnfeeds.drivers.interface import Checkpoint, Driver, DriverSettings
from vulnfeeds.sync.severities import SeveritySource

_STATE_BYTES: Final = 4096
_SHAPING: Final = frozenset({"include", "exclude", "rename"})
"""Settings of every driver that shape records."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """A driver's checkpoint and the circumstances under which its records were made."""

    driver_version: int
    settings: str
    """Digest of the settings that shape records."""
    severity_source: SeveritySource | None
    """None for a driver that takes no severities."""
    scores_upto: int = 0
    """Number of group nvdv2:cves up to which scores are in the records."""
    checkpoint: Checkpoint = Checkpoint()

    def fits(self, other: Envelope) -> bool:
        """Say whether records made under `other` are those that would be made under this one."""
        return (self.driver_version, self.settings, self.severity_source) == (
            other.driver_version,
            other.settings,
            other.severity_source,
        )


def circumstances(driver: Driver, source: SeveritySource) -> Envelope:
    """Return the envelope of a run of this driver now, without a checkpoint."""
    return Envelope(
        driver_version=driver.version,
        settings=settings_digest(driver.settings),
        severity_source=source if driver.takes_severities else None,
    )


def settings_digest(settings: DriverSettings) -> str:
    """Return a digest of a driver's settings; ceilings and thresholds shape no record and are left out."""
    shared = set(DriverSettings.__struct_fields__) - _SHAPING
    own = {name: value for name, value in msgspec.structs.asdict(settings).items() if name not in shared}
    return hashlib.sha256(msgspec.json.encode(own, order="sorted")).hexdigest()


def encode(envelope: Envelope) -> bytes:
    """Return the JSON that the store keeps."""
    return msgspec.json.encode(envelope)


def decode(kept: bytes | None) -> Envelope | None:
    """Return the envelope that the store kept; None when there is none, or none of a form that we know."""
    if kept is None:
        return None
    try:
        return msgspec.json.decode(kept, type=Envelope)
    except msgspec.MsgspecError:
        return None


def execution_state(checkpoint: Checkpoint) -> dict[str, object]:
    """Return what a task's result shows of a checkpoint: a cursor of more than 4 KB only by its size."""
    size = len(msgspec.json.encode(checkpoint.cursor))
    shown = checkpoint.cursor if size <= _STATE_BYTES else f"{size} bytes"
    return {"fingerprint": checkpoint.fingerprint, "cursor": shown}
