"""Microsoft's OVAL documents of CBL-Mariner and Azure Linux: a definition for each CVE in each package."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from benchmarks.generator import folder, nvd, oval, texts
from benchmarks.generator.plan import Kind, Plan, State

FOLDER: Final = "raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main/"
RELEASES: Final = {
    "cbl-mariner-1.0-oval.xml": "cm1",
    "cbl-mariner-2.0-oval.xml": "cm2",
    "azurelinux-3.0-oval.xml": "azl3",
}
_HEAD: Final = """\
<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5" \
xmlns:oval="http://oval.mitre.org/XMLSchema/oval-common-5" \
xmlns:linux-def="http://oval.mitre.org/XMLSchema/oval-definitions-5#linux">
  <generator>
    <oval:product_name>CBL-Mariner OVAL Definition Generator</oval:product_name>
    <oval:schema_version>5.11</oval:schema_version>
    <oval:timestamp>2026-03-01T12:06:48.728082898Z</oval:timestamp>
  </generator>
  <definitions>
"""
_FORM: Final = oval.Form("oval:com.microsoft.cbl-mariner", "linux-def:", "")
_SEVERITIES: Final = ("Medium",) * 5 + ("High",) * 4 + ("Low", "Critical")
_ENDS: Final = ("true",) * 17 + ("false", "false", "Not Applicable")


def write(plan: Plan, root: Path) -> None:
    """Write the document of each release below a folder mirror."""
    for place, (name, dist) in enumerate(RELEASES.items()):
        sections = oval.Sections(_FORM)
        with folder.replacing(root / FOLDER / name) as file:
            file.write(_HEAD.encode())
            for number, state in plan.numbers(Kind.MARINER):
                if not state.removed:
                    file.write(_definition(plan, place, dist, number, state, sections).encode())
            file.write(b"  </definitions>\n")
            sections.write(file)
            file.write(b"</oval_definitions>\n")


def _definition(plan: Plan, place: int, dist: str, number: int, state: State, sections: oval.Sections) -> str:
    chances = plan.random(Kind.MARINER, number, place)
    cve = nvd.identity(plan, number * 5) if number < plan.amounts[Kind.MARINER] else f"CVE-2026-{500_000 + number}"
    package = texts.name(int(chances.random() ** 2 * max(10, 1_200 * plan.scale)))
    patchable = _ENDS[int(chances.random() * len(_ENDS))]
    version = f"{texts.version(number % 200)}-{1 + state.revision}"
    operation = "less than" if patchable == "true" else "less than or equal"
    word = "earlier than" if patchable == "true" else "equal to or earlier than"
    comment = f"Package {package} is {word} {version}, affected by {cve}"
    test = sections.test(comment, package, "evr", operation, f"0:{version}.{dist}", cve)
    title = f"{cve} affecting package {package} {version}"
    return (
        f'    <definition class="vulnerability" id="oval:com.microsoft.cbl-mariner:def:{number}" '
        f'version="2000000001">\n      <metadata>\n        <title>{title}</title>\n'
        '        <affected family="unix">\n          <platform>CBL-Mariner</platform>\n        </affected>\n'
        f'        <reference ref_id="{cve}" ref_url="https://nvd.nist.gov/vuln/detail/{cve}" source="CVE"/>\n'
        f"        <patchable>{patchable}</patchable>\n        <advisory_date>2025-08-15T16:37:27Z</advisory_date>\n"
        f"        <advisory_id>{number}-1</advisory_id>\n"
        f"        <severity>{_SEVERITIES[int(chances.random() * len(_SEVERITIES))]}</severity>\n"
        f"        <description>{title}. A patched version of the package is available.</description>\n"
        '      </metadata>\n      <criteria operator="AND">\n'
        f'        <criterion comment="{comment}" test_ref="{test}"/>\n      </criteria>\n    </definition>\n'
    )
