"""A digest of a whole body, so that a difference shows also where the client has no column for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def body_digest(body: Mapping[str, Any]) -> bytes:
    """Return a digest that does not depend on the order of keys or on blanks."""
    raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
    return hashlib.blake2b(raw, digest_size=16).digest()
