"""Oracle's OVAL document of all advisories: tests, objects and states of its own for each, packed with bzip2."""

from __future__ import annotations

import bz2
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from benchmarks.generator import folder, nvd, oval, texts
from benchmarks.generator.plan import Kind, Plan, State

DOCUMENT: Final = "linux.oracle.com/security/oval/com.oracle.elsa-all.xml.bz2"
_HEAD: Final = """\
<?xml version="1.0" encoding="UTF-8"?>
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" \
xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5">
<generator>
<oval:product_name>Oracle Errata System</oval:product_name>
<oval:schema_version>5.3</oval:schema_version>
<oval:timestamp>2026-03-01T00:00:00</oval:timestamp>
</generator>
<definitions>
"""
_FORM: Final = oval.Form("oval:com.oracle.elsa")
_SEVERITIES: Final = ("IMPORTANT",) * 5 + ("MODERATE",) * 4 + ("LOW", "CRITICAL", "N/A")
_BINARIES: Final = ("", "-devel", "-doc", "-libs", "-client", "-server", "-daemon", "-tools", "-python", "-common")


def write(plan: Plan, root: Path) -> None:
    """Write the document below a folder mirror."""
    sections = oval.Sections(_FORM)
    with folder.replacing(root / DOCUMENT) as file:
        with bz2.open(file, "wb", compresslevel=1) as packed:
            packed.write(_HEAD.encode())
            for number, state in plan.numbers(Kind.OL):
                if not state.removed:
                    packed.write("".join(_definition(plan, number, state, sections)).encode())
            packed.write(b"</definitions>\n")
        with bz2.open(file, "wb", compresslevel=1) as packed:
            sections.write(packed)
            packed.write(b"</oval_definitions>\n")


def _definition(plan: Plan, number: int, state: State, sections: oval.Sections) -> Iterator[str]:
    chances = plan.random(Kind.OL, number)
    year = 2007 + number % 20
    name = f"ELSA-{year}-{number:05}"
    package = texts.name(int(chances.random() ** 2 * max(10, 1_500 * plan.scale)))
    release = str(5 + number % 6)
    severity = _SEVERITIES[int(chances.random() * len(_SEVERITIES))]
    cves = [nvd.identity(plan, number * 11 + more) for more in range(1 + int(chances.random() ** 2 * 12))]
    page = f"https://linux.oracle.com/errata/{name}.html"
    yield (
        f'<definition id="oval:com.oracle.elsa:def:{year}{number:05}" version="501" class="patch">\n<metadata>\n'
        f"<title>\n{name}:  {package} security update ({severity})\n</title>\n"
        f'<affected family="unix">\n<platform>Oracle Linux {release}</platform>\n\n</affected>\n'
        f'<reference source="elsa" ref_id="{name}" ref_url="{page}"/>\n'
    )
    for cve in cves:
        yield f'<reference source="CVE" ref_id="{cve}" ref_url="https://linux.oracle.com/cve/{cve}.html"/>\n'
    changes = "\n".join(f"- {texts.sentence(chances, 6, 14)}" for _ in range(6 + int(chances.random() * 24)))
    yield (
        f"\n<description>\n{changes}\n</description>\n<!--\n ~~~~   advisory details   ~~~~ \n-->\n<advisory>\n"
        f"<severity>{severity}</severity>\n<rights>Copyright {year} Oracle, Inc.</rights>\n"
        f'<issued date="{year}-01-05"/>\n'
    )
    for cve in cves:
        yield (
            f'<cve cvss3="7.5/CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H" '
            f'href="https://linux.oracle.com/cve/{cve}.html" public="{year}0105">{cve}</cve>\n'
        )
    installed = sections.test(f"Oracle Linux {release} is installed", "oraclelinux-release", "version",
                              "pattern match", f"^{release}", name)  # fmt: skip
    yield (
        f'\n</advisory>\n</metadata>\n<criteria operator="AND">\n<criterion test_ref="{installed}" '
        f'comment="Oracle Linux {release} is installed"/>\n<criteria operator="OR">\n'
    )
    version = f"0:{texts.version(number % 300)}-{1 + state.revision}.el{release}"
    count = 1 + int(chances.random() ** 2 * 36)
    module = "nodejs:18" if release >= "8" and number % 7 == 0 else ""
    for arch in ("x86_64", "aarch64")[: 1 + number % 2]:
        yield from _architecture(sections, name, release, arch, module, package, count, version)
    yield "</criteria>\n</criteria>\n\n</definition>\n"


def _architecture(
    sections: oval.Sections, name: str, release: str, arch: str, module: str, package: str, count: int, version: str
) -> Iterator[str]:
    comment = f"Oracle Linux arch is {arch}"
    test = sections.test(comment, "oraclelinux-release", "arch", "pattern match", arch, name)
    yield f'<criteria operator="AND">\n<criterion test_ref="{test}" comment="{comment}"/>\n'
    if module:
        comment = f"Module {module} is enabled"
        test = sections.test(comment, module, "version", "equals", "1", name)
        yield f'<criterion test_ref="{test}" comment="{comment}"/>\n'
    yield '<criteria operator="OR">\n'
    for place in range(count):
        binary = f"{package}{_BINARIES[place % len(_BINARIES)]}{place // len(_BINARIES) or ''}"
        earlier = f"{binary} is earlier than {version}"
        signed = f"{binary} is signed with the Oracle Linux {release} key"
        tests = (
            sections.test(earlier, binary, "evr", "less than", version, name, arch),
            sections.test(signed, binary, "signature_keyid", "equals", "72f97b74ec551f03", name, arch),
        )
        yield '<criteria operator="AND">\n'
        yield f'<criterion test_ref="{tests[0]}" comment="{earlier}"/>\n'
        yield f'<criterion test_ref="{tests[1]}" comment="{signed}"/>\n</criteria>\n'
    yield "</criteria>\n</criteria>\n"
