"""How far the drivers agree with others: `python -m benchmarks.fidelity [--write] [SUITE ...]`.

Runs the drivers on the shared folder's real documents and compares record by record with vunnel's results, the NVD's
own files and what the original service served. Prints agreement by field and the classes of the differences; ends
with 1 when a difference has no class. `--write` brings docs/drivers up to date.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.conftest import Replay
from tests.fidelity import running, summary
from tests.fidelity.world import World

from benchmarks.measure import replay, shared_folder

DOCS = Path(__file__).resolve().parents[1] / "docs"


def main() -> int:
    """Compare, print, and write when asked to."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument(
        "suites", nargs="*", metavar="SUITE", help=f"of {', '.join(running.SUITES)}; all by default"
    )
    arguments.add_argument("--write", action="store_true", help="bring docs/drivers up to date")
    wanted = arguments.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder, replay(Path(folder) / "replay") as address:
        for suite in wanted.suites or running.SUITES:
            place = Path(folder) / suite
            place.mkdir()
            found = running.run(suite, World(shared_folder(), Replay(address), place))
            print(running.table(found), flush=True)
            failed = failed or any(agreement.faults() for agreement in found)
            if wanted.write:
                for driver, block in running.blocks(suite, found).items():
                    running.write(DOCS, driver, suite, block)
                summary.write(running.document(DOCS, "README"), summary.rows(suite, found))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
