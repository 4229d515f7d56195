"""Records of feed `epss`: how likely a CVE is to be exploited in the next 30 days, as FIRST's model scores it daily.

A score's record holds no date: then all of them would change every day. Date and model are in a record of their own.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""A number from 0 to 1."""


class Score(msgspec.Struct, frozen=True):
    """The score of one CVE."""

    cve: Annotated[str, msgspec.Meta(pattern=r"^CVE-[0-9]{4}-[0-9]{4,}$")]
    epss: Share
    """Probability of exploitation in the next 30 days."""
    percentile: Share
    """Part of all scored CVEs whose score is not higher."""


class Model(msgspec.Struct, frozen=True):
    """What all scores that are served were made by, and when."""

    model_version: str
    score_date: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]
    """The day of the scores, UTC."""
    scores: Annotated[int, msgspec.Meta(ge=1)]
    """How many CVEs that day's file scores."""
