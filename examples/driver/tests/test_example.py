"""The suite that every driver passes, and what this one means."""

from __future__ import annotations

from pathlib import Path

from vulnfeeds_example.driver import ExampleDriver

from vulnfeeds.testing.driver_suite import DriverSuite, Edit, Sad, Trial

DOCUMENT = "security.example.org/advisories.json"


class TestExample(DriverSuite):
    """All that the service expects of a driver, on the documents in `upstream`."""

    driver = ExampleDriver
    upstream = Path(__file__).parent / "upstream"
    groups = frozenset({("vulnerabilities", "example:1"), ("vulnerabilities", "example:2")})
    extended = (Edit(DOCUMENT, lambda data: data.replace(b'"cve"', b'"published": "2024-08-01", "cve"')),)
    changed = (Edit(DOCUMENT, lambda data: data.replace(b"3.0.9-1", b"3.0.9-2")),)
    sad = (
        Sad(Edit(DOCUMENT, lambda _: b'{"advisories": []}'), "advisories.json: no advisories"),
        Sad(Edit(DOCUMENT, lambda data: data.replace(b'"fixes"', b'"fixed"', 1)), "$.advisories[0]"),
    )

    def test_no_version_means_no_fix(self, trial: Trial) -> None:
        """A package without a fixed version is affected and not mended yet."""
        records, _ = trial.run()
        (lantern,) = [record for record in records if record.key == "CVE-2024-0007"]
        assert lantern.body.vulnerability.severity == "Medium"
        assert [fix.version for fix in lantern.body.vulnerability.fixed_in] == ["None"]
