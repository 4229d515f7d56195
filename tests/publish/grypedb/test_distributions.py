"""What becomes of a distribution's record."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.publish.grypedb.records import GROUP, fixed_in, os_record
from vulnfeeds.publish.grypedb import blobs, distributions
from vulnfeeds.publish.grypedb.rows import Package, Vulnerability
from vulnfeeds.publish.grypedb.systems import home_of
from vulnfeeds.records import canonical


def rows(record: dict[str, Any]) -> Vulnerability:
    """What becomes of a record."""
    group = record["Vulnerability"]["NamespaceName"]
    return distributions.rows(canonical.encode(record), home_of(group))


def package(*fixes: dict[str, Any], group: str = GROUP, name: str = "CVE-2024-1") -> Package:
    """The one package that becomes of fixes."""
    found = rows(os_record(group, name, *fixes)).packages
    assert len(found) == 1
    return found[0]


def blob(found: Package) -> dict[str, Any]:
    """A package's text, as clients see it."""
    text: dict[str, Any] = msgspec.json.decode(blobs.encode(found.blob))
    return text


def test_a_fix_is_a_range_below_it() -> None:
    """A fixed version means: older ones are affected."""
    found = package(fixed_in(GROUP, "bash", "5.2-1"))
    fix = {"version": "5.2-1", "state": "fixed"}
    assert blob(found) == {"ranges": [{"version": {"type": "dpkg", "constraint": "< 5.2-1"}, "fix": fix}]}
    assert (found.name, found.ecosystem, found.unaffected) == ("bash", "deb", False)


@pytest.mark.parametrize(("no_advisory", "state"), [(False, "not-fixed"), (True, "wont-fix")])
def test_no_fix_is_every_version(no_advisory: bool, state: str) -> None:
    """Without a fix every version is affected; the vendor may have said that none will come."""
    advisory = {"AdvisorySummary": [], "NoAdvisory": no_advisory}
    found = package(fixed_in(GROUP, "bash", "None", VendorAdvisory=advisory))
    assert blob(found) == {"ranges": [{"version": {"type": "dpkg"}, "fix": {"state": state}}]}


def test_never_affected_is_a_row_of_its_own() -> None:
    """Version 0 suppresses matches, of the NVD's names for instance."""
    found = package(fixed_in(GROUP, "bash", "0"))
    assert found.unaffected
    assert blob(found) == {"ranges": [{"version": {"type": "dpkg"}, "fix": {"state": "not-affected"}}]}


def test_never_affected_in_alpine_is_no_such_row() -> None:
    """Clients of apk know it from elsewhere: the row says "older than 0"."""
    found = package(fixed_in("alpine:3.20", "zlib", "0", "apk"), group="alpine:3.20")
    assert not found.unaffected
    assert blob(found)["ranges"][0]["version"] == {"type": "apk", "constraint": "< 0"}


def test_a_package_of_rpm_says_in_which_module_it_is() -> None:
    """Without the word, modular packages would match advisories for others."""
    group = "ol:8"
    plain, modular = rows(
        os_record(
            group,
            "ELSA-1",
            fixed_in(group, "postgresql", "0:12.1", "rpm", Module="postgresql:12"),
            fixed_in(group, "postgresql", "0:9.6.2", "rpm"),
        )
    ).packages
    assert blob(plain)["qualifiers"] == {"rpm_modularity": ""}
    assert blob(modular)["qualifiers"] == {"rpm_modularity": "postgresql:12"}


def test_an_architecture_keeps_fixes_apart() -> None:
    """Versions that differ by architecture are packages of their own."""
    group = "ol:8"
    fixes = [fixed_in(group, "dtrace", f"0:{arch[-1]}", "rpm", Arch=arch) for arch in ("x86_64", "aarch64")]
    found = rows(os_record(group, "ELSA-1", *fixes)).packages
    assert [blob(each)["qualifiers"]["architecture"] for each in found] == ["aarch64", "x86_64"]


def test_a_vulnerable_range_wins_over_the_fix() -> None:
    """Where "older than the fix" says too much, the record says what is meant."""
    group = "alpine:3.20"
    found = package(fixed_in(group, "xz", "5.6.1-r2", "apk", VulnerableRange=">=5.6.0-r0, <5.6.1-r2"), group=group)
    assert blob(found)["ranges"][0]["version"]["constraint"] == ">=5.6.0-r0, <5.6.1-r2"


def test_amazons_kernel_series_stay_apart() -> None:
    """An advisory for series 5.4 says nothing of a 4.14 kernel."""
    group = "amzn:2"
    found = package(fixed_in(group, "kernel", "5.4.2", "rpm"), group=group, name="ALASKERNEL-5.4-2023-048")
    assert blob(found)["ranges"][0]["version"]["constraint"] == ">= 5.4, < 5.4.2"


def test_a_fix_has_its_date_and_advisories() -> None:
    """When a fix came and which advisories say so goes with it."""
    advisory = {"NoAdvisory": False, "AdvisorySummary": [{"ID": "DSA-1", "Link": "https://vendor.example/DSA-1"}]}
    available = {"Date": "2024-05-01", "Kind": "advisory"}
    found = package(fixed_in(GROUP, "bash", "5.2-1", VendorAdvisory=advisory, Available=available))
    assert blob(found)["ranges"][0]["fix"]["detail"] == {
        "available": {"date": "2024-05-01", "kind": "advisory"},
        "references": [{"url": "https://vendor.example/DSA-1", "id": "DSA-1", "tags": ["advisory"]}],
    }


def test_a_minor_release_of_rhel_has_the_fix_of_its_own_stream() -> None:
    """9.2 is fixed by its own build; every other minor release takes the record's."""
    group = "rhel:9"
    builds = [{"Minor": 2, "Version": "0:1-2.el9_2", "Advisory": "RHSA-2024:2", "Channels": ["eus"]}]
    found = rows(os_record(group, "CVE-2024-1", fixed_in(group, "bash", "0:1-9.el9", "rpm", Advisories=builds)))
    by_minor = {
        system.minor: blob(each)["ranges"][0]["version"]["constraint"]
        for each in found.packages
        for system in each.systems
    }
    assert by_minor.pop("2") == "< 0:1-2.el9_2"
    assert len(by_minor) == 11
    assert set(by_minor.values()) == {"< 0:1-9.el9"}


def test_what_rhel_calls_not_affected_is_on_every_row_of_it() -> None:
    """A client looks at the row of the host's minor release only: one for the major release would not be seen."""
    group = "rhel:9"
    found = package(fixed_in(group, "bash", "0", "rpm"), group=group)
    assert found.unaffected
    assert [system.minor for system in found.systems] == [*(str(minor) for minor in range(11)), ""]


def test_an_unknown_severity_does_not_stand_first() -> None:
    """It would hide the vector behind it."""
    cvss = {"base_metrics": {}, "status": "", "vector_string": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
    metrics = {"base_score": 9.8, "base_severity": "Critical", "exploitability_score": 3, "impact_score": 5}
    record = os_record(
        GROUP,
        "CVE-1",
        fixed_in(GROUP, "bash", "1"),
        severity="Unknown",
        CVSS=[{**cvss, "base_metrics": metrics, "version": "3.1"}],
    )
    assert [severity.scheme for severity in rows(record).blob.severities] == ["CVSS"]


def test_what_almalinux_fixed_is_not_affected_from_the_fix_on() -> None:
    """Disclosures come from the rows of RHEL; AlmaLinux's say from where on a host is safe."""
    group = "alma:8"
    found = package(fixed_in(group, "systemd", "239-58.el8", "rpm"), group=group, name="ALSA-2022:1")
    assert found.unaffected
    assert blob(found)["ranges"][0]["version"] == {"type": "rpm", "constraint": ">= 239-58.el8"}


def test_a_vulnerability_names_its_cves_and_links_the_record_first() -> None:
    """The first reference is what clients show as the source."""
    metadata = {"CVE": [{"Name": "CVE-2024-1", "Link": "https://cve.example/1"}, {"Name": "CVE-2024-2"}]}
    found = rows(os_record(GROUP, "DSA-1", fixed_in(GROUP, "bash", "1"), Metadata=metadata)).blob
    assert found.aliases == ("CVE-2024-1", "CVE-2024-2")
    assert [reference.url for reference in found.refs] == ["https://vendor.example/DSA-1", "https://cve.example/1"]
    assert found.description == "About DSA-1."


def test_the_vendors_severity_comes_first_and_its_vectors_after_it() -> None:
    """The first severity is the one that counts."""
    cvss = {
        "base_metrics": {
            "base_score": 9.8,
            "base_severity": "Critical",
            "exploitability_score": 3,
            "impact_score": 5,
        },
        "status": "verified",
        "vector_string": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
        "version": "3.1",
    }
    found = rows(os_record(GROUP, "CVE-1", fixed_in(GROUP, "bash", "1"), severity="Low", CVSS=[cvss])).blob
    assert [severity.value for severity in found.severities[:1]] == ["low"]
    assert msgspec.to_builtins(found.severities[1].value) == {"vector": cvss["vector_string"], "version": "3.1"}


def test_a_package_whose_version_nobody_can_read_is_left_out_and_told() -> None:
    """The rest of the record goes in."""
    found = rows(os_record(GROUP, "CVE-1", fixed_in(GROUP, "bash", "5.2"), fixed_in(GROUP, "zsh", "five")))
    assert [each.name for each in found.packages] == ["bash"]
    assert found.left_out == ("zsh: constraint '< five' cannot be read as dpkg",)
