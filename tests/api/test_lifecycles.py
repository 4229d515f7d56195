"""Until when releases are supported, in the listing of groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx2

from tests.api.filling import Clock, os_record, publish
from vulnfeeds.publish.lifecycles import Lifecycles
from vulnfeeds.store import Store
from vulnfeeds.testing.client import StrictClient

GROUPS = ("alpine:edge", "debian:99", "ubuntu:22.04", "ubuntu:22.04+esm")
JAMMY = {
    "product": "ubuntu",
    "name": "22.04",
    "eoasFrom": "2024-09-30",
    "eolFrom": "2027-04-01",
    "eoesFrom": "2032-04-09",
}


def listed(url: str, feed: str = "vulnerabilities") -> dict[str, dict[str, Any]]:
    """Return what the listing adds to each group."""
    usual = {"name", "description", "access_tier"}
    groups = httpx2.get(f"{url}/v1/feeds/{feed}").json()["groups"]
    return {group["name"]: {key: group[key] for key in group.keys() - usual} for group in groups}


def fill(store: Store) -> None:
    """Publish groups of distributions."""
    for group in GROUPS:
        publish(store, "vulnerabilities", group, {"CVE-1": os_record(group, "CVE-1")}, driver=group.partition(":")[0])


def publish_cycle(store: Store, cycle: dict[str, Any]) -> None:
    """Publish a cycle in feed eol."""
    publish(store, "eol", "eol:products", {f"{cycle['product']}:{cycle['name']}": cycle}, driver="eol")


def test_groups_say_until_when_they_are_supported(filled: Store, url: str, tmp_path: Path, clock: Clock) -> None:
    """Where feed eol knows it; from its next publish on as that says; clients of old read the listing as ever."""
    fill(filled)
    assert all(extra == {} for extra in listed(url).values())
    publish_cycle(filled, JAMMY)
    found = listed(url)
    assert found["ubuntu:22.04"] == {"eol": "2027-04-01", "eoas": "2024-09-30", "eoes": "2032-04-09"}
    assert found["ubuntu:22.04+esm"] == {"eol": "2032-04-09", "eoas": "2024-09-30", "eoes": "2032-04-09"}
    assert found["alpine:edge"] == found["debian:99"] == {}
    assert listed(url, "eol") == {"eol:products": {}}
    publish_cycle(filled, {**JAMMY, "eolFrom": "2027-06-01", "eoasFrom": None})
    assert listed(url)["ubuntu:22.04"] == {"eol": "2027-06-01", "eoes": "2032-04-09"}
    with StrictClient(f"{url}/v1/feeds", tmp_path / "client.sqlite", clock=clock) as client:
        assert client.sync(["vulnerabilities"]).problems == []


def test_what_was_read_is_not_read_again(store: Store) -> None:
    """While feed eol stays as it is, a listing asks the store for that feed's head only, whatever its groups."""
    fill(store)
    publish_cycle(store, JAMMY)
    asked = Asked(store)
    lifecycles = Lifecycles(asked)  # type: ignore[arg-type]
    groups = store.groups("vulnerabilities")
    first = lifecycles.of(groups)
    assert {name for _, name in first} == {"ubuntu:22.04", "ubuntu:22.04+esm"}
    assert asked.calls == ["group", "bodies"]
    assert lifecycles.of(groups) == first
    assert asked.calls == ["group", "bodies", "group"]
    assert lifecycles.of(group for group in groups if group.name == "alpine:edge") == {}
    assert asked.calls == ["group", "bodies", "group"]


class Asked:
    """A store that notes what it is asked."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        self.calls.append(name)
        return getattr(self._store, name)
