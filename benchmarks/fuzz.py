"""A long campaign against every parser of what comes from outside.

    python -m benchmarks.fuzz --minutes 10                # all parsers, one after another
    python -m benchmarks.fuzz --minutes 2 --only tracker  # one of them

With atheris installed it is guided by coverage; else documents are mutated by seed, which `--seed` repeats. What
breaks a parser is kept in tests/hostile/corpus as PARSER-DIGEST.bin, what reaches code that nothing kept reaches in
PARSER.zip there; campaigns begin from it, and the tests try all of it. Exit code 1 when something broke.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.hostile.mutation import PIECES, mutate

try:
    import atheris
except ImportError:
    atheris = None
if atheris is None:
    from tests.hostile import seeds
    from tests.hostile.targets import TARGETS, run
else:
    # Only what is imported here is watched for coverage.
    with atheris.instrument_imports(include=["vulnfeeds"]):
        from tests.hostile import seeds
        from tests.hostile.targets import TARGETS, run

LARGEST = 20_000
"""Bytes of an input that is worth keeping in the project."""
WATCHED = 50
"""Without coverage to guide it, one input in so many is looked at for what it reaches."""


def keep(name: str, data: bytes) -> Path:
    """Keep an input that broke a parser, its smaller form if it can be made smaller."""
    data = smaller(name, data)
    path = seeds.CORPUS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    if len(data) <= LARGEST:
        path.write_bytes(data)
    return path


def smaller(name: str, data: bytes) -> bytes:
    """Return an input without the pieces that its failure does not need."""
    wanted = failure(name, data)
    step = max(1, len(data) // 2)
    while step:
        at = 0
        while at < len(data):
            shorter = data[:at] + data[at + step :]
            if failure(name, shorter) == wanted:
                data = shorter
            else:
                at += step
        step //= 2
    return data


def failure(name: str, data: bytes) -> str:
    """Return the class and the place of what a parser raises that is none of our errors; "" when it ends well."""
    try:
        run(name, data)
    except Exception as error:  # noqa: BLE001 (any class is a finding)
        frames = traceback.extract_tb(error.__traceback__)
        return f"{type(error).__name__} in {Path(frames[-1].filename).name}:{frames[-1].name}"
    return ""


@dataclass
class Outcome:
    """What a campaign against one parser came to."""

    tried: int = 0
    broke: dict[str, bytes] = field(default_factory=dict)
    """An input for each failure."""
    reached: list[bytes] = field(default_factory=list)
    """Inputs that may reach something new."""


def by_seed(name: str, seconds: float, seed: int) -> Outcome:
    """Mutate the kept documents until the time is over."""
    outcome = Outcome()
    begin = seeds.kept(name)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        chance = Random(f"{seed}:{outcome.tried}")
        data = mutate(chance.choice(begin), chance.getrandbits(62), b"")
        if (why := failure(name, data)) and why not in outcome.broke:
            outcome.broke[why] = data
        if outcome.tried % WATCHED == 0 and not why:
            outcome.reached.append(data)
        outcome.tried += 1
    return outcome


def guided(name: str, seconds: float, results: str) -> None:
    """Run the coverage-guided campaign in this process, which it ends; findings go to the folder `results`."""
    seen: set[str] = set()
    tried = 0

    def one(data: bytes) -> None:
        nonlocal tried
        tried += 1
        if (why := failure(name, data)) and why not in seen:
            seen.add(why)
            (Path(results) / f"found-{len(seen)}").write_bytes(data)
        if tried % 200 == 0:
            (Path(results) / "tried").write_text(str(tried))

    begin = Path(results) / "seeds"
    begin.mkdir()
    for number, data in enumerate(seeds.kept(name)):
        (begin / str(number)).write_bytes(data)
    words = Path(results) / "words"
    short = [piece for piece in PIECES if len(piece) <= 32]
    words.write_text("\n".join('"' + "".join(f"\\x{byte:02x}" for byte in piece) + '"' for piece in short))
    arguments = [f"-max_total_time={int(seconds)}", "-timeout=20", "-rss_limit_mb=2048", "-verbosity=0"]
    arguments += ["-max_len=8192", f"-dict={words}", f"-artifact_prefix={results}/crash-"]
    atheris.Setup([sys.argv[0], *arguments, str(begin)], one)
    atheris.Fuzz()


def by_coverage(name: str, seconds: float) -> Outcome:
    """Do as `by_seed`, guided by coverage, in a process of its own."""
    with tempfile.TemporaryDirectory() as results:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=guided, args=(name, seconds, results))
        process.start()
        process.join()
        paths = [*Path(results).glob("found-*"), *Path(results).glob("crash-*")]
        count = Path(results) / "tried"
        outcome = Outcome(int(count.read_text()) if count.exists() else 0)
        for path in paths:
            data = path.read_bytes()
            outcome.broke[failure(name, data) or f"time or memory ({path.name[:20]})"] = data
        outcome.reached += [path.read_bytes() for path in sorted((Path(results) / "seeds").iterdir())]
        return outcome


def main() -> int:
    """Run the campaign and print a line for each parser."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--minutes", type=float, default=5.0, help="for all parsers together")
    options.add_argument("--only", action="append", choices=sorted(TARGETS))
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    names = given.only or list(TARGETS)
    seconds = max(1.0, given.minutes * 60 / len(names))
    is_guided = atheris is not None
    print(f"{len(names)} parsers, {seconds:.0f} s each, {'guided by coverage' if is_guided else 'by seed'}")
    broken = 0
    for name in names:
        outcome = by_coverage(name, seconds) if is_guided else by_seed(name, seconds, given.seed)
        new = seeds.keep(name, outcome.reached)
        print(f"{name:12} {outcome.tried:9,d} inputs, {len(outcome.broke)} failures, {new} kept for what they reach")
        for why, data in outcome.broke.items():
            broken += 1
            print(f"    {why}: {keep(name, data).name} ({len(data)} bytes when found)", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
