"""The check finds everything that a client would fail on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.publish.grypedb.conftest import BUILT, change
from vulnfeeds.publish.grypedb.check import check

BLOB_OF = "(SELECT blob_id FROM {} LIMIT 1)"


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("DELETE FROM db_metadata", "db_metadata has 0 rows"),
        ("UPDATE db_metadata SET model = 5", "model 5, not 6"),
        ("DELETE FROM providers WHERE id = 'nvd'", "refers to a row of providers"),
        ("UPDATE affected_package_handles SET blob_id = NULL WHERE id = 1", "1 rows have no text"),
        (f"DELETE FROM blobs WHERE id = {BLOB_OF.format('vulnerability_handles')}", "have no text"),
        (
            f"UPDATE blobs SET value = '{{' WHERE id = {BLOB_OF.format('affected_package_handles')}",
            "Input data was truncated",
        ),
        (
            "UPDATE blobs SET value = replace(value, '\"high\"', '\"awful\"')"
            " WHERE id IN (SELECT blob_id FROM vulnerability_handles)",
            "severity 'awful'",
        ),
        (
            "UPDATE blobs SET value = replace(value, '< 2.0', '< 2.0 >= 1.0')",
            "cannot be read",
        ),
        (
            "INSERT INTO packages SELECT NULL, ecosystem, upper(name) FROM packages WHERE name = 'bash' LIMIT 1",
            "are the same to idx_package",
        ),
        (
            "INSERT INTO operating_systems SELECT NULL, name, release_id, major_version, minor_version,"
            " label_version, 'other', channel, NULL, NULL FROM operating_systems WHERE name = 'debian' LIMIT 1",
            "are the same to os_idx",
        ),
        ("UPDATE operating_systems SET name = 'plan9' WHERE name = 'redhat'", "no distribution 'plan9'"),
        ("DELETE FROM epss_metadata", "epss_metadata has 0 rows"),
    ],
)
def test_a_fault_is_found_and_named(database: Path, damage: str, fault: str) -> None:
    """Each would end scans, or hide matches, at every client."""
    change(database, damage)
    assert any(fault in line for line in check(database)), check(database)


def test_another_time_than_the_listings_is_a_fault(database: Path) -> None:
    """A client would download at every check, or never."""
    assert check(database, built=BUILT) == []
    assert "the listing would say" in check(database, built=BUILT + timedelta(seconds=1))[0]


def test_what_is_no_database_is_a_fault(tmp_path: Path) -> None:
    """Anything may be handed to the command."""
    path = tmp_path / "x.db"
    path.write_bytes(b"no database" * 1000)
    assert "no usable SQLite file" in check(path)[0]
