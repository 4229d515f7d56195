"""What becomes of a record of feed `microsoft`: the sample is the one of the client contract."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.publish.grypedb.records import msrc_record
from vulnfeeds.errors import RecordError
from vulnfeeds.publish.grypedb import blobs, microsoft
from vulnfeeds.publish.grypedb.rows import Vulnerability
from vulnfeeds.records import canonical


def rows(**more: Any) -> Vulnerability:
    """What becomes of the record."""
    return microsoft.rows(canonical.encode(msrc_record(**more)))


def ranges(found: Vulnerability) -> list[dict[str, Any]]:
    """The ranges of its one package."""
    (package,) = found.packages
    text: dict[str, Any] = msgspec.json.decode(blobs.encode(package.blob))
    ranges: list[dict[str, Any]] = text["ranges"]
    return ranges


def test_a_product_is_a_package_and_its_vulnerable_updates_the_constraint() -> None:
    """A host without any update is vulnerable, too: `base` stands for it."""
    found = rows()
    assert [(each.name, each.ecosystem, each.systems) for each in found.packages] == [("10852", "msrc-kb", ())]
    assert ranges(found) == [
        {
            "version": {"type": "kb", "constraint": "4480961 || 4487026 || base"},
            "fix": {"version": "4493470", "state": "fixed"},
        }
    ]


def test_the_newest_update_is_the_fix_with_its_day() -> None:
    """Of those before it nobody says that they suffice; without a newest one there is none."""
    newest = {"id": "4493470", "is_latest": True, "Available": {"Date": "2019-04-09", "Kind": "advisory"}}
    (dated,) = ranges(rows(fixed_in=[{"id": "4480960", "is_latest": False}, newest]))
    assert dated["fix"]["detail"] == {"available": {"date": "2019-04-09", "kind": "advisory"}}
    (none,) = ranges(rows(fixed_in=[{"id": "4480960", "is_latest": False}]))
    assert none["fix"] == {"state": "not-fixed"}


def test_the_word_comes_first_and_the_vector_with_its_own_version_after_it() -> None:
    """What Microsoft gives neither a word nor a vector has no severity of its own."""
    word, scored = rows().blob.severities
    assert (word.value, msgspec.to_builtins(scored.value)["version"]) == ("high", "3.0")
    assert rows(severity=None, cvss=None).blob.severities == ()


def test_an_update_that_is_no_number_is_refused() -> None:
    """A client would drop the record without a word."""
    with pytest.raises(RecordError, match="cannot be read as kb"):
        rows(vulnerable=["Release Notes"])
