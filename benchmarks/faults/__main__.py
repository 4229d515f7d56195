"""python -m benchmarks.faults [UPSTREAM ...] [--kind NAME] [--write] [--tell]

Publishes day 1 of each driver's sample, lets every kind of fault happen on day 2 at everything at once and at each
document alone, and looks at the law (benchmarks/faults/trial.py). Ends with 1 when it is broken. `--write` brings
docs/faults.md up to date; upstreams that were not tried stay as they are in it.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from benchmarks.faults import table
from benchmarks.faults.days import UPSTREAMS
from benchmarks.faults.kinds import KINDS
from benchmarks.faults.trial import Cell, Trial
from vulnfeeds.testing.upstream import UpstreamSimulator


def main() -> int:
    """Run the matrix and print what it came to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("upstreams", nargs="*", metavar="UPSTREAM", help=f"of {', '.join(UPSTREAMS)}; all by default")
    parser.add_argument("--kind", action="append", choices=[kind.name for kind in KINDS], help="repeatable")
    parser.add_argument("--write", action="store_true", help="bring docs/faults.md up to date")
    parser.add_argument("--tell", action="store_true", help="a line for each fault")
    options = parser.parse_args()
    if options.write and options.kind:
        parser.error("--write needs every kind")
    # What the task says is looked at, not what is logged meanwhile.
    logging.disable(logging.ERROR)
    kinds = tuple(kind for kind in KINDS if not options.kind or kind.name in options.kind)
    found: list[Cell] = []
    for name in options.upstreams or UPSTREAMS:
        began = time.process_time()
        with tempfile.TemporaryDirectory(prefix="vulnfeeds-faults-") as folder, UpstreamSimulator() as simulator:
            trial = Trial(name, UPSTREAMS[name], Path(folder), simulator)
            trial.begin()
            cells = []
            for cell in trial.cells(kinds):
                cells.append(cell)
                if options.tell or cell.broken:
                    print(f"{name}: {cell.kind} at {cell.target}: {cell.outcome} {cell.says[:200]}", flush=True)
                for line in cell.broken:
                    print(f"    BROKEN: {line}", flush=True)
        counts = Counter(cell.outcome for cell in cells)
        figures = ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))
        print(f"{name}: {len(cells)} faults: {figures}; {time.process_time() - began:.0f} s of CPU", flush=True)
        found += cells
    if options.write:
        table.write(found, list(UPSTREAMS))
    broken = sum(bool(cell.broken) for cell in found)
    print(f"{len(found)} faults, the law is broken by {broken}")
    return int(broken > 0)


if __name__ == "__main__":
    sys.exit(main())
