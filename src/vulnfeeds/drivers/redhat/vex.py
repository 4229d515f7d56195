"""VEX documents of Red Hat: everything that is known of one CVE in all products, in one file.

They say the same as the security data API, by product ids: `fixed` with the advisory that fixes, `known_affected`
with a remediation that tells why there is no fix, `known_not_affected`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import msgspec

from vulnfeeds.drivers.formats import csaf
from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.redhat import packages, streams
from vulnfeeds.drivers.redhat.issues import Issue, Kind, State, release_of_cpe
from vulnfeeds.errors import DanglingError

BASE: Final = "https://security.access.redhat.com/data/csaf/v2/vex/"
KIND: Final = "cve-"
FORM: Final = "vex 2"
"""Changes with what is kept of a document."""

_ADVISORY = re.compile(r".*/errata/(RH[SBE]A-\d{4}:\d{3,6})")
_UNUSED = ("-debuginfo", "-debugsource")
_REASONS: Final[dict[str, Kind]] = {
    "Affected": Kind.AFFECTED,
    "Fix deferred": Kind.AFFECTED,
    "Will not fix": Kind.WILL_NOT_FIX,
    "Out of support scope": Kind.OUT_OF_SUPPORT,
}
"""What the text of a remediation without a fix means."""


class Reducer:
    """Reduces documents to issues; product ids that lead nowhere and unknown reasons are counted.

    Raises DanglingError for a CVE of which nothing but such ids is said: it would look withdrawn.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._encoder = msgspec.msgpack.Encoder()
        self._lost = 0

    def __call__(self, name: str, data: bytes) -> bytes | None:
        """Return an issue; None when the document is about none of our releases."""
        document = csaf.read(data, name)
        cve = name.partition("/")[2].removesuffix(".json").upper()
        states: list[State] = []
        described: csaf.Vulnerability | None = None
        self._lost = 0
        for vulnerability in document.vulnerabilities:
            if vulnerability.cve != cve:
                self._context.unknown("CVE in the document of another", f"{vulnerability.cve} in {name}")
                continue
            described = vulnerability
            states += self._fixed(document, vulnerability)
            states += self._unfixed(document, vulnerability)
        if not states and self._lost:
            raise DanglingError(name, f"no product id of {cve} leads anywhere")
        if described is None or not states:
            return None
        score = next((score.cvss_v3 for score in described.scores if score.cvss_v3), None)
        found = Issue(
            cve=cve,
            severity=document.severity or _impact(described),
            description=next((note.text for note in described.notes if note.category == "description"), ""),
            vector=score.vector_string if score else "",
            base_score=str(score.base_score) if score else "",
            vector_status="",
            states=sorted(set(states), key=_order),
        )
        return self._encoder.encode(found)

    def _fixed(self, document: csaf.Document, vulnerability: csaf.Vulnerability) -> Iterator[State]:
        published = {
            product_id: (match[1], remedy.date[:10])
            for remedy in vulnerability.remediations
            if remedy.category == "vendor_fix" and (match := _ADVISORY.fullmatch(remedy.url))
            for product_id in remedy.product_ids
        }
        found: dict[tuple[str, str, str, streams.Stream], list[csaf.Package]] = {}
        dates: dict[str, str] = {}
        for product_id in vulnerability.product_status.get("fixed", ()):
            if (product := self._product(document, product_id)) and product[1].version:
                advisory, date = published.get(product_id, ("", ""))
                dates[advisory] = date
                release, package = product
                platform, cpe = document.platform(product_id), document.cpe(product_id) or ""
                stream = streams.stream(release, package.version, cpe=cpe, platform=platform)
                found.setdefault((release, advisory, package.module, stream), []).append(package)
        for (release, advisory, module, stream), named in found.items():
            # States of the security data API are of source packages; so are these, where there are any.
            sources = [package for package in named if package.arch == "src"] or named
            for name in {package.name for package in sources}:
                version = packages.newest([package.version for package in sources if package.name == name])
                yield State(release, name, module, Kind.FIXED, version, advisory, dates[advisory], *stream)

    def _unfixed(self, document: csaf.Document, vulnerability: csaf.Vulnerability) -> Iterator[State]:
        reasons: dict[str, Kind] = {}
        for remedy in vulnerability.remediations:
            if remedy.category in ("no_fix_planned", "none_available", "fix_planned"):
                if remedy.details not in _REASONS:
                    self._context.unknown("reason", remedy.details)
                kind = _REASONS.get(remedy.details, Kind.AFFECTED)
                reasons.update(dict.fromkeys(remedy.product_ids, kind))
        for status in ("known_affected", "known_not_affected"):
            for product_id in vulnerability.product_status.get(status, ()):
                product = self._product(document, product_id)
                if product is None or product[1].arch not in ("", "src"):
                    continue
                release, package = product
                affected = reasons.get(product_id, Kind.AFFECTED)
                kind = affected if status == "known_affected" else Kind.NOT_AFFECTED
                yield State(release, package.name, package.module, kind)

    def _product(self, document: csaf.Document, product_id: str) -> tuple[str, csaf.Package] | None:
        """Return the release and the package that an id stands for; None for what we do not serve."""
        cpe = document.cpe(product_id)
        if cpe is not None and not (release := release_of_cpe(cpe)):
            return None
        product = document.product(product_id) if cpe is not None else None
        if product is None:
            self._lost += 1
            self._context.unknown("product id that leads nowhere", f"{document.id} {product_id}")
            return None
        package = product.package
        if package is None or package.name.endswith(_UNUSED) or package.module.endswith(":flatpak"):
            return None
        return release, package


def _impact(vulnerability: csaf.Vulnerability) -> str:
    return next((threat.details for threat in vulnerability.threats if threat.category == "impact"), "")


def _order(state: State) -> tuple[str, ...]:
    return state.release, state.package, state.module, state.version, state.minor, state.advisory
