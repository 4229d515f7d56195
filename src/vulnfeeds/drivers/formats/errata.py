"""Errata of the distributions that are built from RHEL's sources, as OSV: AlmaLinux, Rocky Linux.

A record is one advisory in one release: `ALSA-2024:0102` in `alma:8`. What OSV has no place for is in the summary:

    Moderate: mossdb:13 security update       the severity, and the module with its stream
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from vulnfeeds.drivers.documents import UNCHANGED_REASON
from vulnfeeds.drivers.formats import osv
from vulnfeeds.drivers.formats.osv import OSVRecord
from vulnfeeds.drivers.interface import UNCHANGED, Checkpoint, Context, DriverSettings, Unchanged
from vulnfeeds.errors import ParseError
from vulnfeeds.records.record import Record
from vulnfeeds.records.severity import Severity, of_word
from vulnfeeds.records.vulnerability import NO_FIX, Available, FixedIn, OSRecord, Vulnerability, sort_fixes

FEED: Final = "vulnerabilities"
CVE_PAGE: Final = "https://www.cve.org/CVERecord?id="

_RELEASES: Final = "releases.json"
_WORDS = "Critical|Important|Moderate|Low"
_SEVERITY: Final = re.compile(rf"(?:(?:^|: )({_WORDS}):\s|\(({_WORDS})\)\s*$)")
_MODULE: Final = re.compile(r"(?:^|:\s+)([^\s:,]+:[^\s:,]+)(?=[\s,]|$)")
_BUILT_AS_MODULE: Final = re.compile(r"\.module[_+]")
_SECURITY: Final = re.compile(r"[A-Z]{1,4}SA-")
_KNOWN: Final = re.compile(r"[A-Z]{1,4}[SBE]A-\d{4}:A?\d+")


class ErrataSettings(DriverSettings, frozen=True, kw_only=True):
    """Settings of a driver of this form."""

    all_advisories: bool = False
    """Serve bug fix and enhancement advisories that name no CVE, too; they are about no vulnerability."""


class Releases:
    """The advisories of each release, so that one of which nothing changed is not read again.

    All releases come in one archive or one walk; the digests tell which of them have news. They are kept in the
    workspace for `parse`, and in the checkpoint for the next run.
    """

    def __init__(self, context: Context, group: str) -> None:
        self._context = context
        self._group = group
        """How the groups' names begin ("rocky:")."""
        self._digests: dict[str, dict[str, str]] = {}

    def add(self, release: str, advisory: str, data: bytes | msgspec.Raw) -> None:
        """Take an advisory of a release in; of several copies the first counts."""
        self._digests.setdefault(release, {}).setdefault(advisory, hashlib.sha256(data).hexdigest())

    def checkpoint(self, place: str, fingerprint: str = "") -> Checkpoint | Unchanged:
        """Return what is to be published, or that all of it is. Raises ParseError when no release has an advisory.

        `place` is where they come from. The checkpoint's fingerprint is the one given, else made of the digests.
        """
        if not self._digests:
            raise ParseError(place, "no advisory of any release")
        found = {
            release: hashlib.sha256("\n".join(f"{name} {mark}" for name, mark in sorted(marks.items())).encode())
            for release, marks in sorted(self._digests.items())
        }
        digests = {release: digest.hexdigest() for release, digest in found.items()}
        (self._context.workspace / _RELEASES).write_bytes(msgspec.json.encode(digests))
        if digests == self._published():
            return UNCHANGED
        whole = hashlib.sha256(msgspec.json.encode(digests)).hexdigest()
        return Checkpoint(fingerprint=fingerprint or whole, cursor={"releases": digests})

    def changed(self) -> set[str]:
        """Return the releases that have news since the last run that published; the others are skipped."""
        digests = msgspec.json.decode((self._context.workspace / _RELEASES).read_bytes(), type=dict[str, str])
        published = self._published()
        for release in (name for name, digest in digests.items() if published.get(name) == digest):
            self._context.skip(FEED, f"{self._group}{release}", UNCHANGED_REASON)
        return {
            name
            for name, digest in digests.items()
            if published.get(name) != digest and self._context.selection.serves(f"{self._group}{name}")
        }

    def _published(self) -> dict[str, str]:
        """Return the digest of each release that was published; none when all are to be read again."""
        if self._context.forced or self._context.checkpoint is None:
            return {}
        found: dict[str, str] = self._context.checkpoint.cursor.get("releases", {})
        return found


def cves(advisory: OSVRecord) -> list[str]:
    """Return the CVEs that an advisory is about, sorted."""
    words = (*advisory.related, *advisory.aliases, *advisory.upstream)
    return sorted({word.strip() for word in words if word.startswith("CVE-")})


def is_served(advisory: OSVRecord, settings: ErrataSettings) -> bool:
    """Tell whether an advisory holds and is of a kind that is served."""
    if advisory.withdrawn:
        return False
    return settings.all_advisories or _SECURITY.match(advisory.id) is not None or bool(cves(advisory))


def record(
    context: Context,
    advisory: OSVRecord,
    group: str,
    *,
    ecosystems: Collection[str],
    link: str,
    forgotten: Mapping[str, str] | None = None,
) -> Record | None:
    """Return the record of an advisory in one release, with the packages of its ecosystems; None when there are none.

    `forgotten` maps packages that upstream forgot to those of the same advisory whose versions they share.
    """
    if _KNOWN.fullmatch(advisory.id) is None:
        context.unknown("id", advisory.id)
    fixes = _fixes(context, advisory, group, ecosystems)
    for package, sibling in (forgotten or {}).items():
        fixes += [msgspec.structs.replace(fix, name=package) for fix in fixes if fix.name == sibling]
    if not fixes:
        return None
    body = Vulnerability(
        name=advisory.id,
        namespace_name=group,
        severity=severity(advisory.summary, lambda text: context.unknown("severity in the summary", text)),
        link=link,
        fixed_in=sort_fixes(fixes),
        description=advisory.details or advisory.summary,
        metadata=_metadata(advisory),
    )
    return Record(feed=FEED, group=group, key=advisory.id, body=OSRecord(body))


def severity(summary: str, on_unknown: Callable[[str], None]) -> Severity:
    """Return the severity that a summary names; `on_unknown` gets a security advisory's summary that names none."""
    if found := _SEVERITY.search(summary):
        return of_word(found[1] or found[2])
    if "security" in summary:
        on_unknown(summary)
    return "Unknown"


def module(summary: str) -> str:
    """Return the module with its stream ("postgresql:13") that a summary names; "" when it names none."""
    found = _MODULE.search(summary)
    return found[1] if found else ""


def rpm_order(version: str) -> Any:
    """Return what rpm versions are compared by. Raises ValueError for a text that is none."""
    # Takes a tenth of a second to import, and true documents need no comparison.
    from univers.versions import RpmVersion

    return RpmVersion(version)


def _fixes(context: Context, advisory: OSVRecord, group: str, ecosystems: Collection[str]) -> list[FixedIn]:
    stream = module(advisory.summary)
    available = Available(date=advisory.published[:10]) if advisory.published else None
    found: list[FixedIn] = []
    for affected in advisory.affected:
        package = affected.package
        if package is None or package.ecosystem not in ecosystems:
            continue
        spans = osv.spans_of(
            affected,
            order=rpm_order,
            on_incomparable=lambda version: context.unknown("version that cannot be compared", version),
        )
        if not spans:
            context.unknown("package without versions", f"{advisory.id} {package.name}")
        for span in spans:
            version = span.fixed or NO_FIX
            # A summary may name something else with a colon ("kernel:4.18.0"): only builds of modules have one.
            of_module = stream if _BUILT_AS_MODULE.search(version) else ""
            found.append(
                FixedIn(
                    name=package.name,
                    namespace_name=group,
                    version=version,
                    version_format="rpm",
                    module=of_module,
                    vulnerable_range=osv.constraint(span),
                    available=available if span.fixed is not None else None,
                )
            )
    return found


def _metadata(advisory: OSVRecord) -> dict[str, Any]:
    dates = {"Issued": advisory.published[:10], "Updated": advisory.modified[:10]}
    named: list[dict[str, str]] = [{"Name": cve, "Link": f"{CVE_PAGE}{cve}"} for cve in cves(advisory)]
    return {"CVE": named, "RefId": advisory.id, **{name: day for name, day in dates.items() if day}}
