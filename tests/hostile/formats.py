"""Parsers of formats of distributions that the campaign tries besides those in `targets`, and documents for them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.drivers.driver_runs import SAMPLE
from vulnfeeds.drivers.formats import csaf, csaf_archive, oval, rows
from vulnfeeds.drivers.redhat import hydra
from vulnfeeds.drivers.ubuntu import tracker

_MARINER = SAMPLE / "raw.githubusercontent.com/microsoft/AzureLinuxVulnerabilityData/main"
OVAL = (_MARINER / "cbl-mariner-1.0-oval.xml").read_bytes()
_REDHAT = SAMPLE / "security.access.redhat.com/data/csaf/v2/advisories"
CSAF = (_REDHAT / "2024/rhsa-2024_9015.json").read_bytes()
LIST = (_REDHAT / "changes.csv").read_bytes()
HYDRA = (SAMPLE / "access.redhat.com/hydra/rest/securitydata/cve/CVE-2024-0014.json").read_bytes()
ROWS = json.dumps([{"name": "a", "packages": ["b"]}]).encode()
TREE = b"""Candidate: CVE-2024-0001
Description:
 A long name makes brookssl write past its buffer.
Priority: low
Priority_brookssl: medium

upstream_brookssl: released (2.40.1-6)
trusty_brookssl: ignored (out of standard support)
trusty/esm_brookssl: released (2.36.0-0ubuntu3.2+esm1)
xenial_brookssl: needed
esm-infra/xenial_brookssl: DNE (xenial was needed)
eoan_brookssl: not-affected (2.40.1-7build1)
"""
_VERSIONS = {"trusty": "14.04", "xenial": "16.04", "eoan": "19.10"}


def read_oval(path: Path) -> None:
    """Read a document, and every way in which its definitions can hold."""
    with oval.opened(path, lambda definition: definition.title) as document:
        for _, definitions in document.records():
            for definition in definitions:
                for way in oval.ways(definition.criteria, lambda criterion: criterion, "place"):
                    for criterion in way:
                        document.test(criterion.test)


def read_csaf(data: bytes) -> None:
    """Read a document and follow all of its product ids."""
    document = csaf.read(data, "place")
    for vulnerability in document.vulnerabilities:
        for ids in vulnerability.product_status.values():
            for product_id in ids:
                document.product(product_id)
                document.component(product_id)


def read_list(path: Path) -> None:
    """Read a list of changes."""
    list(csaf_archive._read(path))


def read_rows(path: Path) -> None:
    """Read a list of objects."""
    list(rows.read(path, dict[str, Any]))


def read_hydra(data: bytes) -> None:
    """Reduce a document of the security data API."""
    hydra.reduce("CVE-2024-0014", data)


def read_tree(data: bytes) -> None:
    """Read a file of the CVE tracker."""
    tracker.Reader(_VERSIONS, lambda version: True, lambda kind, value: None).read("CVE-2024-0001", data)
