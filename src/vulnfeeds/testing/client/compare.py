"""Whether the client's tables hold what the service holds."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

from vulnfeeds.testing.client.errors import RecordError
from vulnfeeds.testing.client.mapping import Mapped, map_record
from vulnfeeds.testing.client.report import Difference
from vulnfeeds.testing.client.tables import Kept, Tables


def differences(tables: Tables, records: Iterable[tuple[str, str, str, bytes]]) -> list[Difference]:
    """Return how the tables differ from the records (feed, group, key, body as JSON) of whole groups."""
    found: list[Difference] = []
    served: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for feed, group, key, raw in records:
        try:
            wanted = map_record(feed, group, json.loads(raw))
        except RecordError as error:
            found.append(Difference(feed, group, key, f"a client refuses it: {error}"))
            continue
        served[feed, group].add(wanted.id)
        what = _compare(wanted, tables.kept(feed, group, wanted.table, wanted.id))
        found += [Difference(feed, group, key, line) for line in what]
    for (feed, group), ids in served.items():
        extra = sorted(tables.ids(feed, group) - ids)
        found += [Difference(feed, group, key, "only the client has it") for key in extra]
    return found


def _compare(wanted: Mapped, kept: Kept | None) -> list[str]:
    if kept is None:
        return ["the client does not have it"]
    lines = []
    if kept.row != wanted.row:
        pairs = zip(kept.row, wanted.row, strict=True)
        lines += [f"{mine!r} at the client, {theirs!r} at the service" for mine, theirs in pairs if mine != theirs]
    if kept.children != wanted.children:
        mine, theirs = set(kept.children), set(wanted.children)
        lines += [f"only at the client: {child}" for child in sorted(mine - theirs)]
        lines += [f"only at the service: {child}" for child in sorted(theirs - mine)]
    if not lines and kept.digest != wanted.digest:
        lines.append("same columns, but another body")
    return lines
