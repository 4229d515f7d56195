"""Records that the original served, of every group of a distribution: their form is ours, or ours says more."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.drivers.driver_runs import archive_members, on_sample
from tests.fidelity import documents, os_fields
from vulnfeeds.drivers.alpine import AlpineDriver
from vulnfeeds.drivers.amzn.driver import AmznDriver
from vulnfeeds.drivers.debian.driver import DebianDriver
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.ol import OracleDriver
from vulnfeeds.drivers.redhat.centos import CentOSDriver
from vulnfeeds.drivers.redhat.rhel import RHELDriver
from vulnfeeds.drivers.ubuntu.driver import UbuntuDriver
from vulnfeeds.records import canonical, contract
from vulnfeeds.records.record import Score
from vulnfeeds.sync.severities import fill

FEED: Final = "vulnerabilities"
FOLDER: Final = f"pairs/{FEED}/"
DRIVERS: Final[dict[str, type[Driver]]] = {
    driver.name: driver
    for driver in (
        *(AlpineDriver, AmznDriver, CentOSDriver, DebianDriver),
        *(OracleDriver, RHELDriver, UbuntuDriver),
    )
}
SCORE: Final = Score("Medium", 5.0, "AV:N/AC:L/Au:N/C:P/I:N/A:N")
"""What the NVD says of every CVE here."""
NO_VALUE: Final = {"CVSS: list", "Metadata.NVD.CVSSv2.Vectors: NoneType"}
"""Served without a value: an empty list of scores of vendors that give none, a vector that was not known."""
OF_OLD_ADVISORIES: Final = {"centos": {"Metadata.CVE[].cvss2: str"}}
"""Of advisories older than those of the sample: see tests/drivers/redhat/test_centos.py."""
WHERE_THERE_ARE_SOME: Final = {"ol": {"CVE"}}
"""All recorded advisories of Oracle name CVEs; of one that names none there is no list."""

Body = dict[str, Any]


class Sample(NamedTuple):
    """A driver and what clients get of its sample, with what the NVD says where the sync fills it in."""

    name: str
    bodies: list[Body]


@pytest.fixture(scope="module")
def golden(shared: Path) -> dict[str, list[Body]]:
    """The recorded records by group."""
    found: dict[str, list[Body]] = {}
    for name, data in archive_members(shared / "golden" / documents.PAIRS):
        if name.startswith(FOLDER) and name.count("/") == 2 and not name.endswith("index.json"):
            page = documents.json_of(data)
            group = name.removeprefix(FOLDER).removesuffix(".json").replace("_", ":")
            found[group] = page if isinstance(page, list) else page["data"]
    assert len(found) == 46
    return found


def test_what_the_original_served_keeps_the_contract(golden: dict[str, list[Body]]) -> None:
    """Else we would refuse records that clients took for years."""
    for group, records in golden.items():
        assert records
        for body in records:
            contract.check(FEED, group, canonical.encode(body))


@pytest.fixture(scope="module", params=DRIVERS)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    """The records of one driver after the other."""
    driver = DRIVERS[request.param]
    records, _ = on_sample(driver, tmp_path_factory.mktemp(driver.name)).run()
    filled = [
        fill(record.body, SCORE, "newest", takes_severity=record.takes_severity)
        if driver.takes_severities
        else record.body
        for record in records
    ]
    return Sample(driver.name, [documents.json_of(canonical.encode(body)) for body in filled])


def of_distribution(golden: dict[str, list[Body]], name: str) -> list[Body]:
    """Return the recorded records of all releases of a distribution."""
    return [body for group, found in golden.items() if group.startswith(f"{name}:") for body in found]


def test_no_key_of_the_original_is_missing(sample: Sample, golden: dict[str, list[Body]]) -> None:
    """Whatever key its records of a distribution had, some record of ours has it, with a value of the same type."""
    theirs = os_fields.form(of_distribution(golden, sample.name))
    if any(path.startswith("CVSS[]") for path in theirs):
        assert "CVSS: list" in os_fields.form(sample.bodies)
    missing = theirs - os_fields.form(sample.bodies)
    assert missing <= NO_VALUE | OF_OLD_ADVISORIES.get(sample.name, set())


def test_keys_that_every_record_of_the_original_has_are_in_every_one_of_ours(
    sample: Sample, golden: dict[str, list[Body]]
) -> None:
    """A client that takes such a key without asking finds it, in each record and in each fix."""
    theirs = _always(of_distribution(golden, sample.name))
    theirs["metadata"] -= WHERE_THERE_ARE_SOME.get(sample.name, set())
    if sample.name != "rhel":
        theirs["record"] -= {"CVSS"}
    ours = _always(sample.bodies)
    assert {part: sorted(keys - ours[part]) for part, keys in theirs.items()} == {part: [] for part in theirs}


def _always(records: list[Body]) -> dict[str, set[str]]:
    """Return the keys that all records, their metadata and all their fixes have."""
    parts: dict[str, list[set[str]]] = defaultdict(list)
    for body in records:
        record = body["Vulnerability"]
        parts["record"].append(set(record))
        parts["metadata"].append(set(record["Metadata"]))
        parts["fix"] += [set(fix) for fix in record["FixedIn"]]
    return {part: set.intersection(*keys) for part, keys in parts.items() if keys}
