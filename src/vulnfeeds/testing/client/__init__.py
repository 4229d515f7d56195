"""The strict client: our own emulation of the policy engine's feed client, at least as strict as the real one.

It is the judge of the service in the end-to-end tests, and stands alone: nothing of the service's API, store or
records is imported here.

    with StrictClient("http://127.0.0.1:8228/v1/feeds", "client.sqlite") as client:
        report = client.sync(["vulnerabilities"])
        assert not report.problems
"""

from __future__ import annotations

from vulnfeeds.testing.client.errors import (
    AnswerError,
    ClientError,
    ConnectionFailedError,
    ContractError,
    CredentialsError,
    LoopError,
    MissingError,
    PageError,
    RecordError,
    TierError,
)
from vulnfeeds.testing.client.mapping import Mapped, map_record
from vulnfeeds.testing.client.report import Difference, GroupReport, SyncReport
from vulnfeeds.testing.client.strict import FEEDS, StrictClient

__all__ = [
    "FEEDS",
    "AnswerError",
    "ClientError",
    "ConnectionFailedError",
    "ContractError",
    "CredentialsError",
    "Difference",
    "GroupReport",
    "LoopError",
    "Mapped",
    "MissingError",
    "PageError",
    "RecordError",
    "StrictClient",
    "SyncReport",
    "TierError",
    "map_record",
]
