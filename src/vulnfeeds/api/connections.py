"""How bytes on a connection become requests: the fast parser where it is installed, the pure one elsewhere.

The fast parser keeps what it is sent without end; `direct` holds it to the bound that the pure one has, and answers
below the application what is ready.
"""

from __future__ import annotations

import asyncio
from typing import Literal


def protocol() -> type[asyncio.Protocol] | Literal["h11"]:
    """Return uvicorn's setting `http`."""
    try:
        from vulnfeeds.api.direct import DirectProtocol
    except ModuleNotFoundError as error:
        if error.name != "httptools":
            raise
        return "h11"
    return DirectProtocol
