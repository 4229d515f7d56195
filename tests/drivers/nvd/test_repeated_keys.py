"""Items that give a key twice: JSON readers take the last one, so they go to quarantine instead."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from tests.drivers.nvd import sample_documents as sample
from tests.drivers.nvd.conftest import MakeFeed
from tests.drivers.nvd.nvd_runs import NVD, refused
from tests.drivers.test_repeats import Place, keys, with_repeat
from vulnfeeds.drivers.nvd import items


def checked_keys() -> list[tuple[dict[str, Any], Place]]:
    """Return items of the sample with the place of each key that is looked at: the CVE's own."""
    return [(item, place) for item in sample.YEAR[:20] for place in keys(item) if len(place) == 2]


@pytest.mark.parametrize("indent", [None, 2])
def test_an_item_with_a_key_twice_is_known(indent: int | None) -> None:
    """Whichever of the keys that matter is repeated, the item is refused and the key named; unchanged it passes."""
    for item, place in checked_keys():
        items.outline_of(json.dumps(item, indent=indent).encode())
        with pytest.raises(msgspec.ValidationError, match=f"key `{place[-1]}` is given twice"):
            items.outline_of(with_repeat(item, place).encode())


def test_other_spellings_are_no_repetition() -> None:
    """Escaped letters, long numbers and keys beyond ASCII make another size, and the item is read all the same."""
    item = sample.item(1, "text", three=7.5)
    item["cve"]["configurations"] = sample.anyone(*sample.exact(sample.PEBBLE, "1.0"))
    text = json.dumps({**item, "size": 7.50, "naïve": {"a": 1}}, ensure_ascii=False)
    text = text.replace('"configurations"', '"config\\u0075rations"').replace('"criteria"', '"criteri\\u0061"')
    found = items.outline_of(text.encode())
    assert found.id == "CVE-2024-0001"
    assert len(found.configurations) == 1


def test_an_item_with_a_key_twice_goes_to_quarantine_with_its_text(feed: MakeFeed, nvd: NVD) -> None:
    """What the first of two keys said is kept for the operator, and the task names the key."""
    item = sample.item(35, "A page can be read.", three=7.5)
    text = with_repeat(item, ("cve", "descriptions"), '"what came first"')
    nvd.change(item)
    nvd.spelled["CVE-2024-0035"] = text
    records, _, context = feed(source="api").stage()
    assert len(records) == 40
    assert sorted(refused(records)) == ["CVE-2024-0035"]
    assert "CVE-2024-0035 is not of the NVD's form 2.0: key `descriptions` is given twice" in context.notes
    kept = next(record for record in records if record.key == "CVE-2024-0035")
    assert "what came first" in kept.body["unreadable"]
