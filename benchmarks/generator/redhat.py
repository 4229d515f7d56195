"""Red Hat's documents: the security data API's list and CVEs, and the CSAF folders of advisories and VEX.

CVEs come in sixes that are about one package; two advisories, each for a release of its own, fix four of the six.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from benchmarks.generator import csaf, folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan, State

HYDRA: Final = "access.redhat.com/hydra/rest/securitydata/"
ADVISORIES: Final = "security.access.redhat.com/data/csaf/v2/advisories/"
VEX: Final = "security.access.redhat.com/data/csaf/v2/vex/"
SIX: Final = 6
RELEASES: Final = ("6", "7", "8", "9", "10")
STREAMS: Final = ("BaseOS", "AppStream", "CRB")
SEVERITIES: Final = ("Moderate",) * 5 + ("Important",) * 3 + ("Low", "Critical")
STATES: Final = ("Not affected",) * 4 + ("Out of support scope", "Will not fix", "Affected", "Fix deferred")
_OTHERS: Final = ("Red Hat OpenShift Container Platform 4", "Red Hat Ceph Storage 6", "Red Hat JBoss Core Services")


class Issue(NamedTuple):
    """A CVE that is there on the plan's day."""

    number: int
    cve: str
    state: State

    @property
    def six(self) -> int:
        """Which six it is of."""
        return self.number // SIX

    @property
    def fixed(self) -> bool:
        """Whether the advisories of its six fix it."""
        return self.number % 3 != 0


def hydra(plan: Plan, root: Path) -> None:
    """Write the list, whole, and a document for each CVE below a folder mirror."""
    rows = []
    for issue in issues(plan):
        document = _document(plan, issue)
        folder.write(root / HYDRA / "cve" / f"{issue.cve}.json", msgspec.json.encode(document))
        rows.append(_row(document))
    folder.write(root / HYDRA / "cve.json", msgspec.json.encode(rows))
    for number, state in plan.numbers(Kind.REDHAT):
        if state.removed:
            (root / HYDRA / "cve" / f"{_identity(plan, number)}.json").unlink(missing_ok=True)


def advisories(plan: Plan, root: Path) -> None:
    """Write the archive of advisories of day 1 and what changed since below a folder mirror."""
    csaf.write(plan, root / ADVISORIES, "csaf_advisories_2026-03-01.tar.zst", _advisories)


def vex(plan: Plan, root: Path) -> None:
    """Write the archive of VEX documents of day 1 and what changed since below a folder mirror."""
    csaf.write(plan, root / VEX, "csaf_vex_2026-03-01.tar.zst", _vex)


def issues(plan: Plan) -> Iterator[Issue]:
    """Yield the CVEs of the plan's day."""
    for number, state in plan.numbers(Kind.REDHAT):
        if not state.removed:
            yield Issue(number, _identity(plan, number), state)


def _identity(plan: Plan, number: int) -> str:
    known = number < plan.amounts[Kind.REDHAT]
    return nvd.identity(plan, number * 9) if known else f"CVE-2026-{400_000 + number}"


def package_of(plan: Plan, six: int) -> tuple[str, int]:
    """Return the package of a six, and how many binaries are built of it."""
    chance = plan.chance(Kind.REDHAT, six, 1 << 34)
    return texts.name(int(chance**2 * max(10, 1_500 * plan.scale))), 1 + int(chance * 97) % 20


def releases_of(six: int) -> tuple[str, str]:
    """Return the two releases whose advisories fix a six."""
    return RELEASES[1 + six % 4], RELEASES[1 + (six + 1) % 4]


def advisory_of(six: int, release: str) -> str:
    """Return the id of a six's advisory for a release."""
    return f"RHSA-{2015 + six % 11}:{10_000 + 2 * six + releases_of(six).index(release)}"


def version_of(six: int, release: str, revision: int) -> str:
    """Return the version-release that an advisory brings."""
    return f"{texts.version(six % 300)}-{1 + revision}.el{release}"


def severity_of(six: int) -> str:
    """Return the severity of all CVEs of a six."""
    return SEVERITIES[six % len(SEVERITIES)]


def _document(plan: Plan, issue: Issue) -> dict[str, Any]:
    chances = plan.random(Kind.REDHAT, issue.number)
    package, _ = package_of(plan, issue.six)
    fixed = releases_of(issue.six) if issue.fixed else ()
    document: dict[str, Any] = {
        "name": issue.cve,
        "threat_severity": severity_of(issue.six),
        "public_date": "2025-07-16T00:00:00Z",
        "bugzilla": {
            "description": f"{package}: {texts.sentence(chances, 6, 12)}",
            "id": f"{1_700_000 + issue.number}",
            "url": f"https://bugzilla.redhat.com/show_bug.cgi?id={1_700_000 + issue.number}",
        },
        "cvss3": {
            "cvss3_base_score": "7.5",
            "cvss3_scoring_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
            "status": "verified",
        },
        "cwe": "CWE-400",
        "details": [texts.sentence(chances, 40, 90), f"{texts.sentence(chances, 30, 70)} {issue.state.revision}"],
        "statement": texts.sentence(chances, 30, 80),
        "references": [f"https://www.cve.org/CVERecord?id={issue.cve}\nhttps://nvd.nist.gov/vuln/detail/{issue.cve}"],
        "affected_release": [*_releases(issue, package, fixed)],
        "package_state": [*_states(issue, package, fixed, chances)],
        "csaw": False,
    }
    return document


def _releases(issue: Issue, package: str, fixed: tuple[str, ...]) -> Iterator[dict[str, str]]:
    for release in fixed:
        version = version_of(issue.six, release, 0)
        names = [
            f"Red Hat Enterprise Linux {release}",
            f"Red Hat Enterprise Linux {release}.6 Extended Update Support",
        ]
        for name in [*names, *(f"Red Hat Software Collections for {name}" for name in names)]:
            yield {
                "advisory": advisory_of(issue.six, release),
                "cpe": f"cpe:/a:redhat:enterprise_linux:{release}",
                "package": f"{package}-0:{version}",
                "product_name": name,
                "release_date": "2025-08-15T00:00:00Z",
            }


def _states(issue: Issue, package: str, fixed: tuple[str, ...], chances: random.Random) -> Iterator[dict[str, str]]:
    for release in RELEASES:
        if release not in fixed:
            for name in (package, f"{package}-compat"):
                yield {
                    "cpe": f"cpe:/o:redhat:enterprise_linux:{release}",
                    "fix_state": STATES[int(chances.random() * len(STATES))],
                    "package_name": name,
                    "product_name": f"Red Hat Enterprise Linux {release}",
                }
    for place, product in enumerate(_OTHERS):
        if issue.number % 4 == place:
            yield {
                "cpe": f"cpe:/a:redhat:other:{place}",
                "fix_state": "Affected",
                "package_name": package,
                "product_name": product,
            }


def _row(document: dict[str, Any]) -> dict[str, Any]:
    fixes = document["affected_release"]
    return {
        "CVE": document["name"],
        "severity": document["threat_severity"].lower(),
        "public_date": document["public_date"],
        "advisories": sorted({fix["advisory"] for fix in fixes}),
        "bugzilla": document["bugzilla"]["id"],
        "bugzilla_description": document["bugzilla"]["description"],
        "cvss_score": None,
        "cvss_scoring_vector": None,
        "CWE": "CWE-400",
        "affected_packages": [fix["package"] for fix in fixes],
        "package_state": None,
        "resource_url": f"https://{HYDRA}cve/{document['name']}.json",
        "cvss3_scoring_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H",
        "cvss3_score": "7.5",
        # The list shows a change of a document only where it is one of these.
        "revised": document["details"][1].rpartition(" ")[2],
    }


def _advisories(plan: Plan) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield (path, day of the last change, document) of each advisory."""
    six: list[Issue] = []
    for issue in [*issues(plan), Issue(-1, "", State(0, 1, removed=True))]:
        if six and issue.six != six[0].six:
            fixed = [member for member in six if member.fixed]
            for release in releases_of(six[0].six) if fixed else ():
                name = advisory_of(six[0].six, release)
                touched = max(member.state.touched for member in fixed)
                path = f"{name[5:9]}/{name.lower().replace(':', '_')}.json"
                products = _products(plan, six[0].six, [release])
                said = [_vulnerability(plan, member, [release]) for member in fixed]
                yield path, touched, csaf.document(name, plan.moment(touched), products, said)
            six = []
        six.append(issue)


def _vex(plan: Plan) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Yield (path, day of the last change, document) of each CVE."""
    for issue in issues(plan):
        releases = [*releases_of(issue.six)] if issue.fixed else []
        products = _products(plan, issue.six, releases)
        products += [
            csaf.Product(f"red_hat_enterprise_linux_{release}", f"cpe:/o:redhat:enterprise_linux:{release}", name)
            for release in RELEASES
            if release not in releases
            for name in (package_of(plan, issue.six)[0], f"{package_of(plan, issue.six)[0]}-compat")
        ]
        vulnerability = _vulnerability(plan, issue, releases)
        document = csaf.document(issue.cve, plan.moment(issue.state.touched), products, [vulnerability])
        yield f"{issue.cve[4:8]}/{issue.cve.lower()}.json", issue.state.touched, document


def _products(plan: Plan, six: int, releases: list[str]) -> list[csaf.Product]:
    package, count = package_of(plan, six)
    found = []
    for release in releases:
        version = version_of(six, release, 0)
        for stream in STREAMS[: 1 + six % len(STREAMS)]:
            platform, cpe = (
                f"{stream}-{release}.6.0.GA",
                f"cpe:/a:redhat:enterprise_linux:{release}::{stream.lower()}",
            )
            found.append(csaf.Product(platform, cpe, package, version, "src"))
            for arch in ("aarch64", "ppc64le", "s390x", "x86_64"):
                for place in range(count):
                    ends = ("", "-debuginfo") if place % 2 else ("",)
                    found += [
                        csaf.Product(platform, cpe, f"{package}-{texts.name(place)}{end}", version, arch)
                        for end in ends
                    ]
    return found


def _vulnerability(plan: Plan, issue: Issue, releases: list[str]) -> csaf.Vulnerability:
    chances = plan.random(Kind.REDHAT, issue.number, 7)
    fixes = {f"https://access.redhat.com/errata/{advisory_of(issue.six, release)}": release for release in releases}
    return csaf.Vulnerability(
        issue.cve,
        f"{texts.sentence(chances, 30, 70)} {issue.state.revision}",
        severity_of(issue.six),
        {url: [f".el{release}."] for url, release in fixes.items()},
        STATES[issue.number % len(STATES)],
    )
