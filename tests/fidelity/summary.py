"""All drivers in one table: what each reads, and how far its records agree with those of others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from tests.fidelity.agreement import RECORD, Agreement
from vulnfeeds.drivers.interface import Driver
from vulnfeeds.drivers.registry import load_drivers

BEGIN: Final = "<!-- summary: written by `python -m benchmarks.fidelity --write`, checked by tests/fidelity -->"
END: Final = "<!-- end of summary -->"
FIELDS: Final = {
    "package": "FixedIn",
    "fixed version": "version",
    "advisory": "advisory",
    "severity": "severity",
    "module": "module",
}
"""Column by what is compared."""
BESIDE: Final = frozenset({"nvd-overrides"})
"""Suites of drivers that another suite speaks for."""
MADE_UP: Final[Mapping[str, str]] = {
    "amzn": "extras, Amazon Linux 2022 and 2023",
    "alma": "AlmaLinux 9 and 10",
    "arch": "none of its documents is compared: the real list is read, vunnel's small one by hand",
    "centos": "records with fixes: those that were recorded are withdrawn, only their form is compared",
    "chainguard": "a whole document",
    "echo": "a whole document",
    "eol": "everything but two products",
    "fedora": "everything",
    "gem": "dumps; the records of 2017 are made again from a dump of them",
    "minimos": "a whole document",
    "msrc": "months as a whole: two that are cut, and 300 vulnerabilities of two others, written as XML again",
    "npm": "everything; the records of 2017 are made again from documents of them",
    "nvdv2": "answers of the API, which are rebuilt from the files",
    "ol": "modules, FIPS builds",
    "osv": "malicious packages, PyPA, RustSec",
    "photon": "everything but vunnel's small documents",
    "rhel": "the VEX and CSAF archives as a whole (6 and 18 documents), a CVE in both sources",
    "rocky": "OSV documents but three; the others are made from Rocky's list of errata",
    "secureos": "a whole document",
    "sles": "documents of SLES itself (those of openSUSE Leap have the same form): unfixed packages, modules, LTSS",
    "ubuntu": "the OSV and VEX archives as a whole (15 and 2 documents)",
    "vunnel": "not compared: the records are made of vunnel's own results",
    "wolfi": "a whole document",
}
"""What of a driver was proven on small or made-up documents of upstream's form, for want of real ones."""
_GROUPS: Final = re.compile(r"groups? ([^ ,]+:[^ ,]+(?:, [^ ,]+:[^ ,]+)*)")


def drivers() -> dict[str, type[Driver]]:
    """Return the drivers of the table, in its order."""
    return dict(sorted(load_drivers().items()))


def rows(suite: str, agreements: Iterable[Agreement]) -> dict[str, str]:
    """Return the row of each driver that a suite speaks for, of the comparison that shares most records."""
    best: dict[str, Agreement] = {}
    for found in agreements if suite not in BESIDE else ():
        if found.driver not in best or _shared(found) > _shared(best[found.driver]):
            best[found.driver] = found
    return {name: _row(name, found) for name, found in best.items()}


def row_without_comparison(name: str) -> str:
    """Return the row of a driver that nobody else's records are compared with."""
    return _row(name, None)


def in_document(text: str) -> dict[str, str]:
    """Return the rows of the document by driver."""
    table = text.partition(BEGIN)[2].partition(END)[0]
    return {match[1]: match[0] for match in re.finditer(r"^\| \[(\w+)\]\(.*$", table, re.MULTILINE)}


def write(path: Path, new: Mapping[str, str]) -> None:
    """Put rows into the document; those of drivers without a comparison are made anew, the others stay."""
    text = path.read_text()
    old = in_document(text)
    made = {name: new.get(name) or old.get(name) or row_without_comparison(name) for name in drivers()}
    head = ["driver", "upstream", "groups", "compared with", "records", *FIELDS.values(), "without real documents"]
    table = "\n".join([_cells(head), f"|{'---|' * len(head)}", *made.values()])
    before, _, rest = text.partition(BEGIN)
    path.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")


def _shared(found: Agreement) -> tuple[int, float]:
    return found.equal[RECORD], found.equal[RECORD] / found.compared[RECORD]


def _row(name: str, found: Agreement | None) -> str:
    driver = drivers()[name]
    hosts = ", ".join(dict.fromkeys(urlsplit(url).hostname or url for url in driver.upstreams))
    named = _GROUPS.search((driver.__doc__ or "").partition("\n")[0])
    groups = ", ".join(f"`{group}`" for group in named[1].split(", ")) if named else f"`{driver.feeds[0]}`"
    cells = [
        f"[{name}]({name}.md)",
        hosts or ("records of others" if driver.depends_on else "what the settings name"),
        groups,
        found.against if found else "nobody",
    ]
    cells += [_cell(found, field) for field in (RECORD, *FIELDS)]
    return _cells([*cells, MADE_UP.get(name, "")])


def _cell(found: Agreement | None, field: str) -> str:
    if found is None or field not in found.compared:
        return ""
    equal, compared = found.equal[field], found.compared[field]
    return f"{compared:,}" if equal == compared else f"{equal:,} of {compared:,}"


def _cells(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
