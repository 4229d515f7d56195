"""Answers that cross groups: everything that speaks of an identifier, and the records of a package or product.

A record is found by its key or under a handle, and then asked itself: what its outline does not confirm is left out,
so that an index that lags behind can miss a record but never gives a wrong one. The answer says when it lags.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

import msgspec

from vulnfeeds.api import joining
from vulnfeeds.api.questions import Question, choose
from vulnfeeds.errors import NotFoundError, RecordError
from vulnfeeds.records import affected, cpe
from vulnfeeds.records.handles import LONGEST, Kind, identifier, package_word
from vulnfeeds.records.outline import ALIASING, EMPTY, Fix, Outline, Product, exact_names, outline, product_word
from vulnfeeds.store.interface import FoundRecord, Lag, Place, Store

PAGE: Final = 100
"""Records of a page without a limit."""
NAMES: Final = 32
"""Most names of one vulnerability that are followed."""
STEPS: Final = 4
"""Most steps from one name to the next."""
PRODUCTS: Final = 100
"""Most products of one record that are shown."""


class Crossing:
    """Looks across all groups of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def about(
        self, asked: str, *, joins: tuple[str, ...] = (), after: Place | None = None, limit: int = PAGE
    ) -> tuple[dict[str, Any], Place | None]:
        """Return the answer about an identifier, without its token, and the place that the token leads behind.

        Raises NotFoundError when nothing speaks of it and the index holds everything.
        """
        name = identifier(asked)
        lags = self._store.lagging()
        names, is_cut = self._names(name)
        rows = self._store.keyed(names, after=after, limit=limit + 1)
        for kind, words in ((Kind.ALIAS, names), (Kind.COVERS, names), (Kind.CITES, [name])):
            rows += self._store.handled(kind, words, after=after, limit=limit + 1)
        found, more = _page(rows, limit)
        if not found and after is None and not lags:
            raise NotFoundError(f"no record speaks of {asked[:300]!r}")
        shown = []
        for record in found:
            outlined = _outline(record)
            relation = _relation(record, outlined, name, names)
            if relation is None:
                continue
            fixes: Iterable[Fix] = outlined.fixes
            if relation == "cites":
                fixes = [fix for fix in fixes if any(cited.id == name for cited in fix.advisories)]
            shown.append(
                {**_shown(record, outlined), "relation": relation, **_fixes(fixes), **_products(outlined.products)}
            )
        answer = {"id": name, "aliases": sorted(set(names) - {name}), "aliases_cut": is_cut}
        return self._whole(answer, shown, joins, lags, more, names), more

    def search(
        self, question: Question, *, joins: tuple[str, ...] = (), after: Place | None = None, limit: int = PAGE
    ) -> tuple[dict[str, Any], Place | None]:
        """Return the records of a package or product, without the token, and the place that the token leads behind.

        Raises NotFoundError when the question names groups and there is none of them.
        """
        lags = self._store.lagging()
        groups = choose(question, [row.name for row in self._store.groups()]) if question.groups else None
        found, more = _page(
            self._store.handled(question.kind, question.words, after=after, limit=limit + 1, groups=groups), limit
        )
        match = _of_package if question.kind is Kind.PACKAGE else _of_product
        shown = []
        for record in found:
            outlined = _outline(record)
            if (said := match(question, record, outlined)) is not None:
                shown.append({**_shown(record, outlined), **said})
        if groups is not None:
            lags = [lag for lag in lags if lag.group in groups]
        return self._whole({}, shown, joins, lags, more, ()), more

    def _whole(
        self,
        answer: dict[str, Any],
        shown: list[dict[str, Any]],
        joins: tuple[str, ...],
        lags: list[Lag],
        more: Place | None,
        names: Iterable[str],
    ) -> dict[str, Any]:
        answer["records"] = shown
        answer["index"] = {"complete": not lags, "behind": [msgspec.structs.asdict(lag) for lag in lags]}
        if joins:
            cves = {*names, *(record["key"] for record in shown), *(a for record in shown for a in record["aliases"])}
            answer["joined"] = joining.join(self._store, joins, cves)
        return answer

    def _names(self, name: str) -> tuple[list[str], bool]:
        """Return all names of a vulnerability, the given one first, and whether there may be more."""
        names, new = [name], [name]
        for _ in range(STEPS):
            rows = self._store.keyed(new, limit=NAMES, feeds=ALIASING)
            rows += self._store.handled(Kind.ALIAS, new, limit=NAMES, feeds=ALIASING)
            found: set[str] = set()
            for record in rows:
                own = {record.key, *_outline(record).aliases}
                if not own.isdisjoint(new):
                    found |= own
            new = sorted(found.difference(names))
            if not new:
                return names, False
            names += new
            if len(names) > NAMES:
                break
        return names[:NAMES], True


def is_identifier(text: str) -> bool:
    """Say whether a text could be an identifier that some record has."""
    return 0 < len(text.encode("utf-8", "replace")) <= LONGEST and text.isprintable()


def _page(found: Iterable[FoundRecord], limit: int) -> tuple[list[FoundRecord], Place | None]:
    """Return the first records by place, each once, and the last one's place when there are more."""
    unique = {record.place: record for record in found}
    page = [unique[place] for place in sorted(unique)[:limit]]
    return page, page[-1].place if len(unique) > limit else None


def _outline(record: FoundRecord) -> Outline:
    try:
        return outline(record.feed, record.group, record.key, record.body, withdrawn=record.withdrawn)
    except RecordError:
        # Found by its key alone: it has no handles, and says nothing beside its identity.
        return EMPTY


def _relation(record: FoundRecord, outlined: Outline, name: str, names: list[str]) -> str | None:
    """Return what a record has to do with an identifier; None when it has nothing to do with it any more."""
    if record.key == name:
        return "is"
    if record.key in names or not set(outlined.aliases).isdisjoint(names):
        return "alias"
    if not set(outlined.covers).isdisjoint(names):
        return "covers"
    cited = any(advisory.id == name for fix in outlined.fixes for advisory in fix.advisories)
    return "cites" if cited else None


def _shown(record: FoundRecord, outlined: Outline) -> dict[str, Any]:
    path = "/".join(quote(part, safe=":") for part in (record.feed, record.group, "records", record.key))
    return {
        "feed": record.feed,
        "group": record.group,
        "key": record.key,
        "sequence": record.sequence,
        "withdrawn": record.withdrawn,
        "severity": outlined.severity,
        "link": outlined.link,
        "aliases": list(outlined.aliases),
        "covers": list(outlined.covers),
        "record": f"/v1/feeds/{path}",
    }


def _fixes(fixes: Iterable[Fix]) -> dict[str, Any]:
    return {"fixes": [msgspec.to_builtins(fix) for fix in fixes]}


def _products(products: Iterable[Product]) -> dict[str, Any]:
    # Several nodes of a record may hold the same one.
    listed = list(dict.fromkeys(products))
    return {
        "products": [msgspec.to_builtins(product) for product in listed[:PRODUCTS]],
        "products_cut": len(listed) > PRODUCTS,
    }


def _of_package(question: Question, record: FoundRecord, outlined: Outline) -> dict[str, Any] | None:
    words = {package_word(record.group, name) for name in question.names}
    fixes = [fix for fix in outlined.fixes if package_word(record.group, fix.package) in words]
    if not fixes:
        return None
    said = _fixes(fixes)
    if question.version:
        for fix, shown in zip(fixes, said["fixes"], strict=True):
            shown["affected"] = affected.affects(fix, question.version)
    return {**said, **_products(())}


def _of_product(question: Question, record: FoundRecord, outlined: Outline) -> dict[str, Any] | None:
    part, _, word = question.name.partition(":")
    products = [each for each in outlined.products if product_word(each.cpe) == word and _part(each.cpe, part)]
    if not products or (question.version and not _names_version(question, record, products)):
        return None
    return {"fixes": [], **_products(products)}


def _part(name: str, part: str) -> bool:
    return part == "*" or name.startswith(f"cpe:2.3:{part}:")


def _names_version(question: Question, record: FoundRecord, products: list[Product]) -> bool:
    """Say whether a record names a version of the product: as it is, or among those that a range was expanded to."""
    part, _, word = question.name.partition(":")
    names = [product.cpe for product in products if product.end_including is None and product.end_excluding is None]
    exact = exact_names(record.body) if record.feed == "nvdv2" else ()
    names += [name for name in exact if _part(name, part) and product_word(name) == word]
    versions = {parts[cpe.VERSION].lower() for name in names if (parts := cpe.split(name))}
    return question.version in versions or "*" in versions
