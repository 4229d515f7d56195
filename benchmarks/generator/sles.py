"""SUSE's OVAL documents of affected packages: the index, and one document for each major version of the server."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from isal import igzip

from benchmarks.generator import folder, nvd, oval, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

FOLDER: Final = "ftp.suse.com/pub/projects/security/oval/"
PACKS: Final = {11: ("", "1", "2", "3", "4"), 12: ("", "1", "2", "3", "4", "5"), 15: tuple("01234567"), 16: ("0",)}
"""Service packs by major version."""
SHARES: Final = {11: 0.4, 12: 1.0, 15: 1.0, 16: 0.3}
"""Part of the CVEs that a major version's document knows."""
_PRODUCTS: Final = (
    ("SUSE Linux Enterprise Desktop {}", "sled-release"),
    ("SUSE Linux Enterprise High Performance Computing {}", "SLE_HPC-release"),
    ("SUSE Linux Enterprise Module for Basesystem {}", "sle-module-basesystem-release"),
    ("SUSE Linux Enterprise Server {}", "sles-release"),
    ("SUSE Linux Enterprise Server for SAP Applications {}", "SLES_SAP-release"),
)
_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
\t<oval_definitions
\t\txmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5"
\t\txmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5">
\t  <generator>
\t      <oval:product_name>Marcus Updateinfo to OVAL Converter</oval:product_name>
\t      <oval:schema_version>5.5</oval:schema_version>
\t      <oval:timestamp>2026-03-01T05:20:37</oval:timestamp>
\t  </generator>
<definitions>
"""
_FORM: Final = oval.Form("oval:org.opensuse.security")
_SEVERITIES: Final = ("Moderate",) * 5 + ("Important",) * 3 + ("Low", "Critical")
_BINARIES: Final = ("", "-devel", "-doc", "-lang", "-32bit", "-tools", "-data", "-plugins", "-debug", "-common")
_SIGNED: Final = 4
"""Every so many packages have a criterion that says who signed them."""


def write(plan: Plan, root: Path) -> None:
    """Write the index and the documents below a folder mirror."""
    names = [f"suse.linux.enterprise.server.{major}{end}.xml.gz" for major in PACKS for end in ("", "-affected")]
    links = "\n".join(f'<a href="{name}">{name}</a>' for name in names)
    folder.write(root / FOLDER / "index.html", f"<!DOCTYPE html>\n<html><body>\n{links}\n</body></html>\n".encode())
    for major in PACKS:
        path = root / FOLDER / f"suse.linux.enterprise.server.{major}-affected.xml.gz"
        moment = int(FIRST_DAY.timestamp())
        with (
            folder.replacing(path) as file,
            igzip.IGzipFile("", "wb", 2, cast(Any, file), mtime=moment) as packed,
        ):
            _document(plan, major, cast(BinaryIO, packed))


def _document(plan: Plan, major: int, file: BinaryIO) -> None:
    sections = oval.Sections(_FORM)
    file.write(_HEAD.encode())
    for number, state in plan.numbers(Kind.SLES):
        if not state.removed and plan.chance(Kind.SLES, number, major << 40) < SHARES[major]:
            file.write("".join(_definition(plan, major, number, state, sections)).encode())
    file.write(b"</definitions>\n")
    sections.write(file)
    file.write(b"</oval_definitions>\n")


def _definition(plan: Plan, major: int, number: int, state: State, sections: oval.Sections) -> Iterator[str]:
    cve = nvd.identity(plan, number * 7) if number < plan.amounts[Kind.SLES] else f"CVE-2026-{600_000 + number}"
    chances = plan.random(Kind.SLES, number, major)
    package = texts.name(int(chances.random() ** 2 * max(10, 3_000 * plan.scale)))
    servers = [f"{major} SP{pack}" if pack.strip("0") else f"{major}" for pack in PACKS[major]]
    yield (
        f'<definition id="oval:org.opensuse.security:def:{cve[4:].replace("-", "")}" version="1" '
        f'class="vulnerability">\n <metadata>\n <title>{cve}</title>\n    <affected family="unix">\n'
    )
    for server in servers:
        yield f"            <platform>SUSE Linux Enterprise Server {server}</platform>\n"
    page = f"https://www.suse.com/security/cve/{cve}"
    yield (
        f'    </affected>\n    <reference ref_id="Mitre {cve}" '
        f'ref_url="https://cve.mitre.org/cgi-bin/cvename.cgi?name={cve}" source="CVE"/>\n'
        f'    <reference ref_id="SUSE {cve}" ref_url="{page}" source="SUSE CVE"/>\n'
    )
    for _ in range(int(chances.random() * 6)):
        list_number = int(chances.random() * 20_000)
        yield (
            f'\t\t<reference ref_id="SUSE-SU-2025:{list_number:05}-1" ref_url="https://lists.suse.com/pipermail/'
            f'sle-security-updates/2025-June/{list_number:06}.html" source="SUSE-SU"/>\n'
        )
    severity = _SEVERITIES[int(chances.random() * len(_SEVERITIES))]
    cpes = "".join(f"\t\t<cpe>cpe:/o:suse:sles:{server.lower().replace(' ', ':')}</cpe>\n" for server in servers)
    yield (
        f"    <description>\n    {texts.sentence(chances, 30, 90)}\n    </description>\n"
        f'<advisory from="security@suse.de">\n\t<issued date="2025-06-25"/>\n\t<updated date="2026-02-25"/>\n'
        f'\t<severity>{severity}</severity>\n\t<cve impact="{severity.lower()}" '
        f'cvss3="5.1/CVSS:3.1/AV:L/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:L" href="{page}/">{cve}</cve>\n'
        f'\t<bugzilla href="https://bugzilla.suse.com/{1_100_000 + number}">SUSE bug 1</bugzilla>\n'
        f"\t<affected_cpe_list>\n{cpes}\t</affected_cpe_list>\n</advisory>\n </metadata>\n"
        '\t\t<criteria operator="OR">\n'
    )
    yield from _criteria(major, package, number, state, chances, sections)
    yield "\t\t</criteria>\n</definition>\n"


def _criteria(
    major: int, package: str, number: int, state: State, chances: random.Random, sections: oval.Sections
) -> Iterator[str]:
    """Yield a branch for each service pack from the first one that is affected on."""
    packs = PACKS[major]
    update = int(chances.random() * 8)
    binaries = [
        f"{package}{_BINARIES[place % len(_BINARIES)]}{place // len(_BINARIES) or ''}"
        for place in range(1 + int(chances.random() * 2 * len(_BINARIES)))
    ]
    said = chances.choices(("fixed", "affected", "not affected"), (70, 15, 15))[0]
    for place in range(int(chances.random() * len(packs)), len(packs)):
        version = f"{major}.{packs[place]}" if packs[place].strip("0") or major == 16 else str(major)
        yield '\t\t\t<criteria operator="AND">\n\t\t\t\t<criteria operator="OR">\n'
        for name, release in _PRODUCTS:
            comment = f"{name.format(version.replace('.', ' SP'))} is installed"
            yield _criterion(
                sections.test(f"{release} is =={version}", release, "version", "equals", version), comment
            )
        yield '\t\t\t\t</criteria>\n\t\t\t\t<criteria operator="OR">\n'
        fixed = f"{texts.version(update)}-{major}0{place // 2}.{1 + update}.{1 + state.revision}"
        for order, binary in enumerate(binaries):
            test, comment = _test(sections, binary, said, fixed)
            if order % _SIGNED:
                yield _criterion(test, comment)
                continue
            signed = f"{binary} is signed with SUSE key"
            key = sections.test(signed, binary, "signature_keyid", "equals", "70af9e8139db7c82")
            yield f'<criteria operator="AND">\n{_criterion(test, comment)}{_criterion(key, signed)}</criteria>\n'
        yield "\t\t\t\t</criteria>\n\t\t\t</criteria>\n"


def _test(sections: oval.Sections, binary: str, said: str, fixed: str) -> tuple[str, str]:
    if said == "fixed":
        comment = f"{binary} is &lt;{fixed} for aarch64,ppc64le,s390x,x86_64"
        return sections.test(comment, binary, "evr", "less than", f"0:{fixed}"), f"{binary}-{fixed} is installed"
    if said == "affected":
        return sections.test(f"{binary} is &gt;0", binary, "evr", "greater than", "0:0-0"), f"{binary} is affected"
    return sections.test(f"{binary} is ==0", binary, "version", "equals", "0"), f"{binary} is not affected"


def _criterion(test: str, comment: str) -> str:
    return f'\t<criterion test_ref="{test}" comment="{comment}"/>\n'
