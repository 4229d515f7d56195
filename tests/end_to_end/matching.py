"""Looks a package up in a Grype database as grype does: by system row, package row, constraint, module.

It is what CI has where there is no grype: the same expectations, put to the same rows.
"""

from __future__ import annotations

import json
import re
import sqlite3
from dataclasses import dataclass
from typing import Any

from univers.debian import Version as DebianVersion
from univers.rpm import compare_rpm_versions
from univers.versions import AlpineLinuxVersion

UNIT = re.compile(r"(>=|<=|>|<|=)\s*(\S+)")


@dataclass(frozen=True)
class Host:
    """What a host's os-release says."""

    name: str
    """grype's word for the distribution: `debian`, `redhat`, `almalinux`."""
    version: str
    codename: str = ""


def matches(connection: sqlite3.Connection, host: Host, package: str, version: str, *, module: str = "") -> set[str]:
    """Return the names of vulnerabilities that a package of a host has."""
    found = {
        name
        for name, blob in _handles(connection, "affected", _systems(connection, host), package)
        if _concerns(blob, module) and any(_satisfied(each["version"], version) for each in blob.get("ranges", []))
    }
    exact = _systems(connection, host, exact=True) or _systems(connection, host)
    for name, blob in _handles(connection, "unaffected", exact, package):
        if any(_satisfied(each["version"], version) for each in blob["ranges"]):
            found -= {name, *blob.get("cves", [])}
    return found


def _systems(connection: sqlite3.Connection, host: Host, *, exact: bool = False) -> list[int]:
    """Return the rows of the first step that finds any: version, then major without minor, then any minor."""
    name = host.name
    if not exact:
        row = connection.execute(
            "SELECT replacement FROM operating_system_specifier_overrides WHERE alias = ? AND version = ''"
            " AND version_pattern = '' AND codename = '' AND replacement IS NOT NULL",
            (name,),
        ).fetchone()
        name = row[0] if row else name
    major, _, minor = host.version.partition(".")
    minor = str(int(minor.partition(".")[0])) if minor else ""
    rows = connection.execute(
        "SELECT id, major_version, minor_version FROM operating_systems WHERE (name = ?1 OR release_id = ?1)"
        " AND channel = '' AND (?2 = '' OR codename = ?2 COLLATE NOCASE) AND major_version = ?3",
        (name, host.codename, major),
    ).fetchall()
    for step in (minor, ""):
        if ids := [number for number, _, its in rows if its == step]:
            return ids
    return [number for number, _, _ in rows]


def _handles(
    connection: sqlite3.Connection, kind: str, systems: list[int], package: str
) -> list[tuple[str, dict[str, Any]]]:
    rows = connection.execute(
        f"SELECT v.name, b.value FROM {kind}_package_handles h JOIN packages p ON p.id = h.package_id"
        " JOIN vulnerability_handles v ON v.id = h.vulnerability_id JOIN blobs b ON b.id = h.blob_id"
        f" WHERE p.name = ? COLLATE NOCASE AND h.operating_system_id IN ({','.join(map(str, systems)) or 'NULL'})",
        (package,),
    )
    return [(name, json.loads(text)) for name, text in rows]


def _concerns(blob: dict[str, Any], module: str) -> bool:
    wanted = blob.get("qualifiers", {}).get("rpm_modularity")
    return wanted is None or wanted == module


def _satisfied(version: dict[str, str], installed: str) -> bool:
    units = UNIT.findall(version.get("constraint", ""))
    return all(_holds(_compare(version["type"], installed, bound), operator) for operator, bound in units)


def _compare(version_format: str, one: str, two: str) -> int:
    if version_format == "rpm":
        return int(compare_rpm_versions(*(each if ":" in each else f"0:{each}" for each in (one, two))))
    kind = AlpineLinuxVersion if version_format == "apk" else DebianVersion.from_string
    left, right = kind(one), kind(two)
    return (left > right) - (left < right)


def _holds(order: int, operator: str) -> bool:
    return {"<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0, "=": order == 0}[operator]
