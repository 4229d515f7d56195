"""The command line, and the only place that puts the parts together.

`app` lists the commands, `compose` builds store, fetcher, drivers and pages from the settings, `terminal` is the only
way to the screen; the other modules hold the commands, one idea each.
"""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command that the arguments name and leave with its exit code."""
    # Imported here so that the processes of runs, which import this package to find their entry, start without it.
    from vulnfeeds.cli.app import run

    sys.exit(run(sys.argv[1:]))
