"""Driver kev: the suite on its sample, the catalog's checks, and the real catalog."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.kev import GROUP, KEVDriver
from vulnfeeds.errors import ParseError, RecordError
from vulnfeeds.records import kev
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

CATALOG = "www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"


def edited(**changes: Any) -> Edit:
    """Return an edit that replaces keys of the catalog."""
    return Edit(CATALOG, lambda data: json.dumps(json.loads(data) | changes).encode())


class TestKEV(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = KEVDriver
    upstream = SAMPLE
    groups = frozenset({("kev", GROUP)})
    extended = (Edit(CATALOG, replaced(b'"title"', b'"schema": {"version": 2}, "title"')),)
    changed = (Edit(CATALOG, replaced(b'"Known"', b'"Unknown"')),)
    sad = (
        Sad(edited(vulnerabilities=[]), "count says 10, the list has 0"),
        Sad(edited(vulnerabilities=[], count=0), "count says 0, the list has 0"),
        Sad(edited(count=11), "count says 11, the list has 10"),
        Sad(edited(vulnerabilities={}), "$.vulnerabilities"),
        Sad(Edit(CATALOG, lambda _: b"[]"), "known_exploited_vulnerabilities.json"),
        Sad(
            Edit(CATALOG, replaced(b'"cveID"', b'"cve"')), "vulnerabilities[0]: Object missing required field `cveID`"
        ),
        Sad(Edit(CATALOG, replaced(b'"CVE-2024-0033"', b'"CVE-2024-0028"')), "vulnerabilities[1]: CVE-2024-0028"),
        Sad(Edit(CATALOG, replaced(b'"count"', b'"title": "", "count"')), "'title' is given twice"),
        Sad(Edit(CATALOG, replaced(b'"count"', b'"count": 10, "count"')), "'count' is given twice"),
    )


def test_an_item_is_served_as_upstream_gives_it(tmp_path: Path) -> None:
    """Every key comes through, one that we do not know too."""
    trial = on_sample(KEVDriver, tmp_path)
    trial.edit(Edit(CATALOG, replaced(b'"product"', b'"exploitedSince": "2024-01-01", "product"')))
    items = json.loads((trial.folder / CATALOG).read_bytes())["vulnerabilities"]
    found = bodies(trial.run()[0])
    assert found == {(GROUP, item["cveID"]): item for item in items}
    assert items[0]["exploitedSince"] == "2024-01-01"


def test_an_unknown_word_is_counted(tmp_path: Path) -> None:
    """A new value of an enumeration passes and is reported."""
    trial = on_sample(KEVDriver, tmp_path)
    trial.edit(Edit(CATALOG, replaced(b'"Known"', b'"Suspected"')))
    _, context = trial.run()
    assert context.unknown_values == {"knownRansomwareCampaignUse=Suspected": 1}


def test_the_typed_view_names_what_is_missing() -> None:
    """A body without a required key is refused with its name."""
    with pytest.raises(RecordError, match="cveID"):
        kev.view({"product": "x"})


def test_truncated_text_is_refused(tmp_path: Path) -> None:
    """A catalog that ends in the middle is no catalog."""
    trial = on_sample(KEVDriver, tmp_path)
    trial.edit(Edit(CATALOG, lambda data: data[:-40]))
    with pytest.raises(ParseError, match="known_exploited_vulnerabilities"):
        trial.run()


def test_the_real_catalog_has_no_unknown_words(upstreams: Any) -> None:
    """What its items say is compared in tests/fidelity."""
    records, context = upstreams(KEVDriver).run()
    assert len(records) == 1404
    assert context.unknown_values == {}
