"""Amazon's repositories: lists of mirrors, indexes, and the advisories of three releases and the extras of one."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from benchmarks.generator import folder, nvd, texts
from benchmarks.generator.plan import FIRST_DAY, Kind, Plan, State

CDN: Final = "cdn.amazonlinux.com/"
_EXTRAS: Final = ("kernel-5.4", "kernel-5.10", "kernel-5.15", "docker", "nginx1", "php8.2", "python3.8", "redis6")
_SEVERITIES: Final = ("important",) * 4 + ("medium",) * 5 + ("low", "critical")
_ENDS: Final = (
    "",
    "-devel",
    "-debuginfo",
    "-libs",
    "-debugsource",
    "-tools",
    "-doc",
    "-common",
    "-python3",
    "-static",
)


class Repository(NamedTuple):
    """A repository; `share` of the advisories up to 1 are in it or in one before it."""

    release: str
    share: float
    mirror_list: str
    base: str
    tag: str
    """What the ids of its advisories begin with."""


REPOSITORIES: Final = (
    Repository("1", 0.30, "repo.us-west-2.amazonaws.com/2018.03/updates/x86_64/mirror.list",
               "packages.us-west-2.amazonaws.com/2018.03/updates/c3f1a5e0b2/x86_64", "ALAS"),
    Repository("2", 0.65, f"{CDN}2/core/latest/x86_64/mirror.list", f"{CDN}2/core/2.0/x86_64/6d1f5a0c9b", "ALAS2"),
    Repository("2023", 0.92, f"{CDN}al2023/core/mirrors/latest/x86_64/mirror.list",
               f"{CDN}al2023/core/guids/9ac2e4410b/x86_64", "ALAS2023"),
    *(
        Repository("2", 0.92 + 0.01 * (place + 1), f"{CDN}2/extras/{topic}/latest/x86_64/mirror.list",
                   f"{CDN}2/extras/{topic}/latest/x86_64/27c9d8e15f", f"ALAS2{topic.upper()}")
        for place, topic in enumerate(_EXTRAS)
    ),
)  # fmt: skip


def write(plan: Plan, root: Path) -> None:
    """Write all repositories and the catalogue of extras below a folder mirror."""
    catalogue = {"topics": [{"n": topic, "inst": [], "versions": []} for topic in _EXTRAS]}
    folder.write(root / CDN / "2/extras-catalog.json", msgspec.json.encode(catalogue))
    before = 0.0
    for repository in REPOSITORIES:
        scheme = "http" if repository.release == "1" else "https"
        folder.write(root / repository.mirror_list, f"{scheme}://{repository.base}\n".encode())
        updates = "".join(_updates(plan, repository, before))
        packed = gzip.compress(f'<?xml version="1.0" ?>\n<updates>{updates}</updates>\n'.encode(), 6,
                               mtime=FIRST_DAY.timestamp())  # fmt: skip
        folder.write(root / repository.base / "repodata/updateinfo.xml.gz", packed)
        folder.write(root / repository.base / "repodata/repomd.xml", _index(packed))
        before = repository.share


def _index(packed: bytes) -> bytes:
    digest = hashlib.sha256(packed).hexdigest()
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="http://linux.duke.edu/metadata/repo">\n'
        f'<data type="updateinfo"><checksum type="sha256">{digest}</checksum>'
        '<location href="repodata/updateinfo.xml.gz"/></data>\n</repomd>\n'
    ).encode()


def _updates(plan: Plan, repository: Repository, before: float) -> Iterator[str]:
    for number, state in plan.numbers(Kind.AMZN):
        if not state.removed and before <= plan.chance(Kind.AMZN, number, 1 << 35) / 1.000001 < repository.share:
            yield _update(plan, repository, number, state)


def _update(plan: Plan, repository: Repository, number: int, state: State) -> str:
    chances = plan.random(Kind.AMZN, number)
    package = texts.name(int(chances.random() ** 2 * max(10, 1_500 * plan.scale)))
    name = f"{repository.tag}-2025-{number:04}"
    severity = _SEVERITIES[int(chances.random() * len(_SEVERITIES))]
    cves = [nvd.identity(plan, number * 13 + more) for more in range(1 + int(chances.random() ** 2 * 8))]
    described = "\n\n".join(f"{cve}:\n\t{texts.sentence(chances, 40, 120)}" for cve in cves)
    references = "".join(
        f'<reference href="http://cve.mitre.org/cgi-bin/cvename.cgi?name={cve}" id="{cve}" title="" type="cve" />'
        for cve in cves
    )
    version, release = texts.version(number % 300), f"{1 + state.revision}.amzn{repository.release}"
    count = 1 + int(chances.random() ** 2 * (70 if repository.release == "2023" else 35))
    packages = "".join(
        f'<package arch="{arch}" epoch="0" name="{binary}" release="{release}" version="{version}">'
        f"<filename>Packages/{binary}-{version}-{release}.{arch}.rpm</filename></package>"
        for place in range(count)
        for binary in [f"{package}{_ENDS[place % len(_ENDS)]}{place // len(_ENDS) or ''}"]
        for arch in ("x86_64", "aarch64")
    )
    return (
        '<update author="linux-security@amazon.com" from="linux-security@amazon.com" status="final" type="security" '
        f'version="1.4"><id>{name}</id><title>Amazon Linux {repository.release} - {name}: {severity} priority '
        f"package update for {package}</title>"
        f'<issued date="2025-01-30 22:56:00" /><updated date="2025-01-30 22:56:00" />'
        f"<severity>{severity}</severity><description>Package updates are available for Amazon Linux that fix the "
        f"following vulnerabilities:\n{described}\n</description><references>{references}</references><pkglist>"
        f'<collection short="amazon-linux"><name>Amazon Linux</name>{packages}</collection></pkglist></update>'
    )
