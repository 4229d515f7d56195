"""Driver eol: the suite on its sample, and the true-form list of two products."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.drivers.driver_runs import SAMPLE, bodies, on_sample, replaced
from vulnfeeds.drivers.eol import EOLDriver
from vulnfeeds.errors import RecordError
from vulnfeeds.records import contract, eol
from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad

PRODUCTS = "endoflife.date/api/v1/products/full"


def edited(change: Callable[[dict[str, Any]], object]) -> Edit:
    """Return an edit that changes the document in place."""

    def apply(data: bytes) -> bytes:
        document = json.loads(data)
        change(document)
        return json.dumps(document).encode()

    return Edit(PRODUCTS, apply)


class TestEOL(DriverSuite):
    """What every driver must do, on the sample upstream."""

    driver = EOLDriver
    upstream = SAMPLE
    groups = frozenset({("eol", eol.GROUP)})
    extended = (Edit(PRODUCTS, replaced(b'"schema_version"', b'"licence": "MIT", "schema_version"')),)
    changed = (Edit(PRODUCTS, replaced(b'"2032-04-09"', b'"2034-04-09"')),)
    sad = (
        Sad(edited(lambda document: document.update(total=9)), "total says 9, the list has 4"),
        Sad(edited(lambda document: document.update(total=0, result=[])), "total says 0"),
        Sad(edited(lambda document: document.update(schema_version="2.0.0")), "schema_version '2.0.0' is not 1.x"),
        Sad(edited(lambda document: document["result"][1].pop("name")), "result[1]: Object missing required field"),
        Sad(edited(lambda document: document["result"][1].update(name="rhel")), "result[2]: product 'rhel'"),
        Sad(Edit(PRODUCTS, replaced(b'"2032-04-09"', b'"soon"')), "(ubuntu) releases[1]"),
        Sad(Edit(PRODUCTS, replaced(b'"name": "24.04"', b'"name": "22.04"')), "cycle '22.04' is listed twice"),
    )


def test_a_record_is_a_cycle_as_upstream_gives_it(tmp_path: Path) -> None:
    """With the product's name and identifiers, and every key that upstream adds."""
    trial = on_sample(EOLDriver, tmp_path)
    trial.edit(edited(lambda document: document["result"][3]["releases"][1].update(moonPhase="full")))
    found = bodies(trial.run()[0])
    assert len(found) == 11
    jammy = found[eol.GROUP, "ubuntu:22.04"]
    assert jammy["moonPhase"] == "full"
    assert (jammy["product"], jammy["name"], jammy["codename"]) == ("ubuntu", "22.04", "Jammy Jellyfish")
    assert (jammy["eoasFrom"], jammy["eolFrom"], jammy["eoesFrom"]) == ("2024-09-30", "2027-04-01", "2032-04-09")
    assert jammy["identifiers"] == [{"type": "cpe", "id": "cpe:2.3:o:ubuntu:ubuntu"}]


def test_a_date_that_is_none_is_refused() -> None:
    """Before it reaches the store, with the name of its key."""
    with pytest.raises(RecordError, match="eolFrom"):
        contract.check("eol", eol.GROUP, b'{"eolFrom":"never","name":"9","product":"rhel"}')
    with pytest.raises(RecordError, match="product is empty"):
        contract.check("eol", eol.GROUP, b'{"name":"9","product":""}')


def test_the_true_form_has_nothing_unknown(upstreams: Any) -> None:
    """Two products as endoflife.date wrote them in July 2025; the next day is the same."""
    real = upstreams(EOLDriver)
    found = bodies(real.run()[0])
    assert {key.partition(":")[0] for _, key in found} == {"ubuntu", "windows"}
    assert found[eol.GROUP, "ubuntu:22.04"]["eoesFrom"] == "2032-04-09"
    assert real.run()[0] == []
