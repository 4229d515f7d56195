"""Fedora's repositories of updates: index and advisories (updateinfo.xml.zst) of each release.

Three releases are alive at a time. One has some 5,000 updates, three in ten of them for security, and names every
package of every architecture: 40 MB of XML.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape

import zstandard

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import Kind, Plan, State

BASE: Final = "dl.fedoraproject.org/pub/fedora/linux/updates/"
RELEASES: Final = ("42", "43", "44")
_ARCHITECTURES: Final = ("src", "i686", "x86_64")
_ENDS: Final = ("", "-libs", "-devel", "-doc", "-common", "-tools", "-static", "-debuginfo", "-debugsource", "-lang")
_SEVERITIES: Final = ("Important", "Moderate", "Moderate", "Low", "None", "Critical")
_INDEX: Final = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">\n'
    '  <data type="updateinfo">\n    <checksum type="sha256">{0}</checksum>\n'
    '    <location href="repodata/updateinfo.xml.zst"/>\n  </data>\n</repomd>\n'
)


def write(plan: Plan, root: Path) -> None:
    """Write all releases below a folder mirror."""
    links = "\n".join(f'<a href="{release}/">{release}/</a>' for release in RELEASES)
    folder.write(root / BASE / "index.html", f"<html><body><pre>{links}\n</pre></body></html>\n".encode())
    for place, release in enumerate(RELEASES):
        packed = zstandard.compress(b"".join(_document(plan, place, release)), 3)
        digest = hashlib.sha256(packed).hexdigest()
        target = root / BASE / release / "Everything/x86_64/repodata"
        folder.write(target / "updateinfo.xml.zst", packed)
        folder.write(target / "repomd.xml", _INDEX.format(digest).encode())


def _document(plan: Plan, place: int, release: str) -> Iterator[bytes]:
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n'
    for number, state in plan.numbers(Kind.FEDORA):
        if not state.removed and number % len(RELEASES) == place:
            yield _update(plan, number, state, release).encode()
    yield b"</updates>\n"


def _update(plan: Plan, number: int, state: State, release: str) -> str:
    chances = plan.random(Kind.FEDORA, number)
    package = texts.name(int(chances.random() ** 1.5 * max(10, 4_000 * plan.scale)))
    version, build = texts.version(number % 300), f"{1 + state.revision}.fc{release}"
    security = number // len(RELEASES) % 10 < 3
    kind = "security" if security else "bugfix"
    bugs = ""
    for _ in range(1 + int(5 * chances.random() ** 2) if security else 0):
        cve, bug = (
            nvd.identity(plan, int(chances.random() * plan.amounts[Kind.NVD])),
            int(chances.random() * 2_000_000),
        )
        bugs += (
            f'      <reference href="https://bugzilla.redhat.com/show_bug.cgi?id={bug}" id="{bug}" type="bugzilla" '
            f'title="{cve} {package}: {texts.sentence(chances, 5, 10)} [fedora-all]"/>\n'
        )
    packages = "".join(
        _package(f"{package}{end}", version, build, release, arch)
        for end in _ENDS[: 1 + int(len(_ENDS) * chances.random())]
        for arch in (_ARCHITECTURES if not end else _ARCHITECTURES[1:])
    )
    return (
        f'  <update from="updates@fedoraproject.org" status="stable" type="{kind}" version="2.0">\n'
        f"    <id>FEDORA-2026-{0x1000000000 + number:010x}</id>\n    <title>{package}-{version}-{build}</title>\n"
        f'    <issued date="2026-02-01 01:10:12"/>\n    <updated date="2026-02-02 02:20:30"/>\n'
        f"    <rights>Copyright (C) 2026 Red Hat, Inc. and others.</rights>\n"
        f"    <release>Fedora {release}</release>\n"
        f"    <severity>{_SEVERITIES[number % len(_SEVERITIES)] if security else 'None'}</severity>\n"
        f"    <summary>{package}-{version}-{build} {kind} update</summary>\n"
        f"    <description>{escape(texts.sentence(chances, 20, 120))}</description>\n"
        f"    <references>\n{bugs}    </references>\n"
        f'    <pkglist>\n      <collection short="F{release}">\n        <name>Fedora {release}</name>\n{packages}'
        f"      </collection>\n    </pkglist>\n  </update>\n"
    )


def _package(name: str, version: str, build: str, release: str, arch: str) -> str:
    file = f"{name}-{version}-{build}.{arch}.rpm"
    address = f"https://download.fedoraproject.org/pub/fedora/linux/updates/{release}/x86_64/{name[0]}/{file}"
    return (
        f'        <package name="{name}" version="{version}" release="{build}" epoch="0" arch="{arch}" '
        f'src="{address}">\n'
        f"          <filename>{file}</filename>\n        </package>\n"
    )
