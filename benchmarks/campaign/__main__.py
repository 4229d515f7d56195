"""python -m benchmarks.campaign [--minutes N] [--seed S] [--store sqlite|postgres|both] [--resume DIR] [--steps N]

Random steps on a real installation: publishes, walks, clients, `kill -9` of runs, syncs, the server (also while it
renders) and migrations, restarts, clock steps, pruning, full disks (a limit on the size of files, RLIMIT_FSIZE), a
store that goes and comes back. After each step the laws are looked at. Clocks are stepped by hours, but no two differ
by more than the margin of `since`: what lies beyond is out of the contract and does lose changes.

The seed decides which steps come and what each does; the instants of kills come from the machine's own pace, so that
repeating a seed repeats the script, not the microsecond. A campaign that is stopped (Ctrl-C, --minutes) goes on with
--resume DIR where it was, without the walks that were under way.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path
from random import Random

import msgspec

from benchmarks.campaign import laws, steps
from benchmarks.campaign.world import Saved, World


def campaign(
    folder: Path, saved: Saved, *, until: float, last_step: int | None, short: bool = False, tell: bool = False
) -> dict[str, int]:
    """Run steps until a moment (of time.monotonic) or a step; return what was counted.

    Raises LawBrokenError, or whatever else a step could not foresee, with seed and step in a note.
    """
    weights = steps.SHORT if short else steps.WEIGHTS
    size = sum(weights.values())
    world = World(folder, saved)
    name = "begin"
    try:
        steps.begin(world, Random(f"{saved.seed}:begin:{saved.step}"))
        while time.monotonic() < until and (last_step is None or saved.step < last_step):
            step = steps.deck(weights, saved.seed, saved.step // size)[saved.step % size]
            name = step.__name__
            began = time.monotonic()
            step(world, Random(f"{saved.seed}:{saved.step}"))
            laws.walks_were_whole(world)
            world.forget_unneeded()
            saved.step += 1
            world.counts[f"step {name}"] += 1
            world.save()
            if tell:
                print(f"{saved.step:6} {name} {time.monotonic() - began:.1f} s", flush=True)
        return dict(world.counts)
    except Exception as error:
        error.add_note(f"seed {saved.seed}, step {saved.step} ({name}), {saved.store}, in {folder}")
        raise
    finally:
        world.close()


def main() -> None:
    """Run campaigns and print what they did; leave with 1 when a law was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5.0, help="for each store")
    parser.add_argument("--steps", type=int, help="end after this many steps")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "postgres", "both"), default="both")
    parser.add_argument("--resume", type=Path, help="folder of a campaign that was stopped")
    parser.add_argument("--tell", action="store_true", help="a line for each step")
    options = parser.parse_args()
    if options.resume:
        saved = msgspec.json.decode((options.resume / "campaign.json").read_bytes(), type=Saved)
        sys.exit(_run(options.resume, saved, options))
    stores = ("sqlite", "postgres") if options.store == "both" else (options.store,)
    codes = []
    for store in stores:
        folder = Path(tempfile.mkdtemp(prefix=f"vulnfeeds-campaign-{store}-"))
        folder.chmod(0o755)
        codes.append(_run(folder, Saved(seed=options.seed, store=store), options))
    sys.exit(max(codes))


def _run(folder: Path, saved: Saved, options: argparse.Namespace) -> int:
    began = time.monotonic()
    first = saved.step
    print(f"{saved.store}, seed {saved.seed}, from step {first}, in {folder}", flush=True)
    try:
        counts = campaign(
            folder, saved, until=began + options.minutes * 60, last_step=options.steps, tell=options.tell
        )
    except KeyboardInterrupt:
        print(f"stopped at step {saved.step}; go on with --resume {folder}")
        return 130
    except Exception:  # noqa: BLE001 - a campaign tells of whatever it meets
        traceback.print_exc()
        print(f"BROKEN: seed {saved.seed}, step {saved.step}, store {saved.store}; all of it is in {folder}")
        print(
            f"again: python -m benchmarks.campaign --store {saved.store} --seed {saved.seed} --steps {saved.step + 1}"
        )
        return 1
    print(f"{saved.step - first} steps in {time.monotonic() - began:.0f} s, margin {saved.margin} s; no law broken")
    for name, count in sorted(counts.items()):
        print(f"  {count:7,}  {name}")
    if saved.step and not options.resume:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    main()
