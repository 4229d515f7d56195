"""CSAF documents made by hand in Red Hat's form, and folders and archives of them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zstandard

HOST = "security.access.redhat.com"
ERRATA = "https://access.redhat.com/errata/"
PLATFORMS = {
    "AppStream-8.9.0.GA": "cpe:/a:redhat:enterprise_linux:8::appstream",
    "BaseOS-8.9.0.GA": "cpe:/o:redhat:enterprise_linux:8::baseos",
    "BaseOS-9.4.0.GA": "cpe:/o:redhat:enterprise_linux:9::baseos",
    "BaseOS-9.2.0.Z.EUS": "cpe:/o:redhat:rhel_eus:9.2::baseos",
    "BaseOS-9.2.0.Z.E4S": "cpe:/o:redhat:rhel_e4s:9.2::baseos",
    "6Server-ELS": "cpe:/o:redhat:rhel_els:6",
    "9Base-RHOS-17.1": "cpe:/a:redhat:openstack:17.1::el9",
    "red_hat_enterprise_linux_6": "cpe:/o:redhat:enterprise_linux:6",
    "red_hat_enterprise_linux_7": "cpe:/o:redhat:enterprise_linux:7",
    "red_hat_enterprise_linux_8": "cpe:/o:redhat:enterprise_linux:8",
    "red_hat_enterprise_linux_9": "cpe:/o:redhat:enterprise_linux:9",
}

Json = dict[str, Any]


def rpm(name: str, version: str, *, arch: str = "src", epoch: int = 0, module: str = "") -> tuple[str, str]:
    """Return id and purl of a package; `module` is "name:stream:version:context"."""
    quoted = version.replace("+", "%2B")
    more = (f"&epoch={epoch}" if epoch else "") + (f"&rpmmod={module}" if module else "")
    stream = f"::{':'.join(module.split(':')[:2])}" if module else ""
    return f"{name}-{epoch}:{version}.{arch}{stream}", f"pkg:rpm/redhat/{name}@{quoted}?arch={arch}{more}"


def document(
    name: str, category: str, components: Mapping[str, str], pairs: list[tuple[str, str]], vulnerabilities: list[Json]
) -> Json:
    """Return a document: purls by component id, pairs of platform and component, what is said of them."""
    platforms = sorted({platform for platform, _ in pairs})
    return {
        "document": {
            "aggregate_severity": {"namespace": "https://access.redhat.com/", "text": "Important"},
            "category": category,
            "csaf_version": "2.0",
            "tracking": {
                "current_release_date": "2024-08-20T10:00:00+00:00",
                "id": name,
                "initial_release_date": "2024-08-13T09:00:00+00:00",
                "status": "final",
                "version": "1",
            },
        },
        "product_tree": {
            "branches": [
                {
                    "category": "vendor",
                    "name": "Red Hat",
                    "branches": [
                        *(
                            {
                                "category": "product_name",
                                "name": platform,
                                "product": {
                                    "name": platform,
                                    "product_id": platform,
                                    "product_identification_helper": {"cpe": PLATFORMS[platform]},
                                },
                            }
                            for platform in platforms
                        ),
                        *(
                            {
                                "category": "product_version",
                                "name": component,
                                "product": {
                                    "name": component,
                                    "product_id": component,
                                    "product_identification_helper": {"purl": purl},
                                },
                            }
                            for component, purl in components.items()
                        ),
                    ],
                }
            ],
            "relationships": [
                {
                    "category": "default_component_of",
                    "full_product_name": {"name": "", "product_id": f"{platform}:{component}"},
                    "product_reference": component,
                    "relates_to_product_reference": platform,
                }
                for platform, component in pairs
            ],
        },
        "vulnerabilities": vulnerabilities,
    }


def advisory(name: str, cves: list[str], fixes: list[tuple[str, tuple[str, str]]]) -> Json:
    """Return an advisory that fixes CVEs by packages, each named with its platform."""
    ids = [f"{platform}:{package[0]}" for platform, package in fixes]
    return document(
        name,
        "csaf_security_advisory",
        dict(package for _, package in fixes),
        [(platform, package[0]) for platform, package in fixes],
        [
            {
                "cve": cve,
                "product_status": {"fixed": ids},
                "remediations": [{"category": "vendor_fix", "product_ids": ids, "url": f"{ERRATA}{name}"}],
                "threats": [{"category": "impact", "details": "Important"}],
            }
            for cve in cves
        ],
    )


def path_of(name: str) -> str:
    """Return the path of a document below the folder of its kind."""
    year = name.split("-")[1].split(":")[0]
    return f"{year}/{name.lower().replace(':', '_')}.json"


def packed(documents: Mapping[str, Json | bytes]) -> bytes:
    """Return an archive of documents by path."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, content in documents.items():
            data = content if isinstance(content, bytes) else text(content)
            member = tarfile.TarInfo(path)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return zstandard.ZstdCompressor(level=19).compress(buffer.getvalue())


def text(content: Any) -> bytes:
    """Return a document's bytes."""
    return json.dumps(content, indent=1).encode() + b"\n"


def write_folder(
    folder: Path,
    kind: str,
    day: str,
    archived: list[Json],
    changed: Mapping[str, Json] | None = None,
    deleted: Mapping[str, str] | None = None,
) -> None:
    """Write a folder of CSAF documents: those of the archive of a day, those that changed and went, by time."""
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.tar.zst"):
        old.unlink()
    name = f"csaf_{kind}_{day}.tar.zst"
    (folder / "archive_latest.txt").write_text(name)
    (folder / name).write_bytes(packed({path_of(one["document"]["tracking"]["id"]): one for one in archived}))
    rows = []
    for time, one in (changed or {}).items():
        path = path_of(one["document"]["tracking"]["id"])
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(text(one))
        rows.append(f'"{path}","{time}"\n')
    rows += [f'"{path_of(one["document"]["tracking"]["id"])}","2024-08-01T00:00:00+00:00"\n' for one in archived]
    (folder / "changes.csv").write_text("".join(rows))
    gone = {"RHSA-2020:1344": "2024-04-27T20:04:56+00:00", **(deleted or {})}
    (folder / "deletions.csv").write_text("".join(f'"{path_of(name)}","{time}"\n' for name, time in gone.items()))
