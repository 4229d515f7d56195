"""What Microsoft says of a vulnerability becomes one record for each product that it is about. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby
from typing import Final

from vulnfeeds.drivers.msrc.cvrf import Said
from vulnfeeds.drivers.msrc.supersedence import Supersedence, number
from vulnfeeds.records import microsoft, severity
from vulnfeeds.records.microsoft import Fix, Product, Vulnerability
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity

LINK: Final = "https://msrc.microsoft.com/update-guide/vulnerability/"


class Updates:
    """All updates of the products that are served."""

    def __init__(self) -> None:
        self._by_product: dict[str, Supersedence] = {}
        self._links: dict[str, tuple[str, ...]] = {}

    def add(self, said: Said, serves: Callable[[str], bool]) -> None:
        """Take the updates of one vulnerability."""
        for update in said.updates:
            served = [product for product in update.products if serves(product)]
            for product in served:
                self.of(product).add(update.kb, update.supersedes)
            if served and update.links:
                self._links[update.kb] = tuple(update.links)

    def of(self, product: str) -> Supersedence:
        """Return the updates of one product."""
        found = self._by_product.get(product)
        if found is None:
            found = self._by_product[product] = Supersedence(product)
        return found

    def links(self, kb: str) -> tuple[str, ...]:
        """Return where an update is described."""
        return self._links.get(kb, ())


def merged(sayings: Iterable[Said]) -> Iterator[Said]:
    """Yield one saying for each id: the newest month's text, and the updates of all months that speak of it."""
    for _, group in groupby(sayings, key=lambda said: said.id):
        whole: Said | None = None
        for said in group:
            if whole is None:
                whole = said
                continue
            whole = Said(
                whole.id,
                said.title or whole.title,
                said.summary or whole.summary,
                sorted({*whole.affected, *said.affected}),
                {**whole.severities, **said.severities},
                {**whole.scores, **said.scores},
                [*whole.updates, *said.updates],
            )
        if whole is not None:
            yield whole


def records(said: Said, products: dict[str, Product], updates: Updates) -> Iterator[Record]:
    """Yield the record of a vulnerability in each of the products that it is about."""
    fixes: dict[str, set[str]] = {product: set() for product in said.affected}
    for update in said.updates:
        for product in update.products:
            fixes.setdefault(product, set()).add(update.kb)
    for identity, served in products.items():
        if identity in fixes:
            body = _body(said, served, fixes[identity], updates)
            yield Record(feed=microsoft.FEED, group=microsoft.group(identity), key=said.id, body=body)


def _body(said: Said, product: Product, fixes: set[str], updates: Updates) -> Vulnerability:
    chains = updates.of(product.id)
    first = {kb for kb in fixes if not (chains.before(kb) - chains.after(kb)) & fixes}
    latest = {newest for kb in fixes for newest in chains.latest(kb)}
    fixing = fixes.union(*(chains.after(kb) for kb in fixes))
    vulnerable = {older for kb in first for older in chains.before(kb)} - fixing
    return Vulnerability(
        id=said.id,
        product=product,
        severity=_severity(said, product.id),
        summary=said.summary,
        link=f"{LINK}{said.id}",
        vulnerable=tuple(sorted(vulnerable, key=number)),
        fixed_in=tuple(
            Fix(kb, kb in first, kb in latest, updates.links(kb)) for kb in sorted(first | latest, key=number)
        ),
        cvss=said.scores.get(product.id),
    )


def _severity(said: Said, product: str) -> Severity:
    """Return Microsoft's word, and where it says none the band of its own score."""
    words = said.severities.get(product)
    if words:
        return severity.highest([severity.of_word(word) for word in words])
    score = said.scores.get(product)
    return severity.of_cvss3(score.base_score) if score is not None else "Unknown"
