"""Make upstream documents in true form at any scale, as a folder that `upstream_mirror` takes.

python -m benchmarks.generate --scale 1.0 --day 2 --change 0.01 --seed 1 DIR

Scale 1 is 340,000 NVD items, 40 Alpine releases with 100,000 fixes, 50,000 CVEs in 8 Debian releases, KEV, 100,000
CVEs in 17 Ubuntu releases, OVAL documents of SUSE (730 MB), Oracle (240 MB) and Microsoft (100 MB), 36,000 CVEs and
12,000 advisories of Red Hat (2 GB) with as many VEX documents as CVEs (4 GB), 6,000 advisories of Amazon, and
25,000 advisories that GitHub reviewed among 250,000 that it did not; of the other distributions as many as
benchmarks.generator.plan says. The same arguments give the same bytes. Making day 2 over the folder of day 1
replaces only the files that changed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from benchmarks.generator import (
    alpine,
    amzn,
    arch,
    debian,
    echo,
    errata,
    fedora,
    github,
    kev,
    mariner,
    nvd,
    ol,
    osv,
    photon,
    redhat,
    rolling,
    sles,
    ubuntu,
)
from benchmarks.generator.plan import Plan

PARTS: Final[dict[str, Callable[[Plan, Path], None]]] = {
    "nvd": nvd.write,
    "alpine": alpine.write,
    "debian": debian.write,
    "kev": kev.write,
    "ubuntu": ubuntu.write,
    "sles": sles.write,
    "ol": ol.write,
    "mariner": mariner.write,
    "amzn": amzn.write,
    "redhat": redhat.hydra,
    "redhat-advisories": redhat.advisories,
    "redhat-vex": redhat.vex,
    "github": github.write,
    **rolling.PARTS,
    "echo": echo.write,
    "alma": errata.write_alma,
    "rocky": errata.write_rocky,
    "photon": photon.write,
    "arch": arch.write,
    "fedora": fedora.write,
    "osv": osv.write,
}


def parts_of(drivers: Iterable[str]) -> list[str]:
    """Return the parts that drivers read, in the order in which they are made."""
    wanted = {{"nvdv2": "nvd", "nvddb": "nvd"}.get(driver, driver) for driver in drivers}
    return [part for part in PARTS if part in wanted]


def generate(plan: Plan, root: Path, parts: Iterable[str] = tuple(PARTS)) -> None:
    """Write the documents of the plan's day below `root`."""
    for part in parts:
        PARTS[part](plan, root)


def main() -> None:
    """Read the command line, write, and tell how long each part took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--day", type=int, default=1)
    parser.add_argument("--change", type=float, default=0.01, help="part of the records that each day changes")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=PARTS, action="append", help="these parts only")
    options = parser.parse_args()
    plan = Plan(scale=options.scale, day=options.day, change=options.change, seed=options.seed)
    for part in options.only or PARTS:
        began = time.monotonic()
        generate(plan, options.folder, [part])
        print(f"{part}: {time.monotonic() - began:.1f} s")


if __name__ == "__main__":
    main()
