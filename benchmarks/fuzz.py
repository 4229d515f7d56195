"""A long campaign against every parser of what comes from outside.

    python -m benchmarks.fuzz --minutes 10                # all parsers, one after another
    python -m benchmarks.fuzz --minutes 2 --only tracker  # one of them

With atheris installed it is guided by coverage; else documents are mutated by seed, which `--seed` repeats. What
breaks a parser is kept in tests/hostile/corpus as PARSER-DIGEST.bin, and the tests try it from then on. Exit code 1
when something was found.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.hostile.mutation import PIECES, mutate

try:
    import atheris
except ImportError:
    atheris = None
if atheris is None:
    from tests.hostile.targets import TARGETS, run
else:
    # Only what is imported here is watched for coverage.
    with atheris.instrument_imports(include=["vulnfeeds"]):
        from tests.hostile.targets import TARGETS, run

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "hostile" / "corpus"
LARGEST = 20_000
"""Bytes of an input that is worth keeping in the project."""


def keep(name: str, data: bytes) -> Path:
    """Keep an input that broke a parser, its smaller form if it can be made smaller."""
    data = smaller(name, data)
    path = CORPUS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    CORPUS.mkdir(exist_ok=True)
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


def by_seed(name: str, seconds: float, seed: int) -> tuple[int, dict[str, bytes]]:
    """Mutate a document until the time is over; return how many were tried, and an input for each failure."""
    found: dict[str, bytes] = {}
    end, tried = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        data = mutate(TARGETS[name][1], seed + tried, b"")
        tried += 1
        if (why := failure(name, data)) and why not in found:
            found[why] = data
    return tried, found


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

    seeds = Path(results) / "seeds"
    seeds.mkdir()
    (seeds / "good").write_bytes(TARGETS[name][1])
    words = Path(results) / "words"
    short = [piece for piece in PIECES if len(piece) <= 32]
    words.write_text("\n".join('"' + "".join(f"\\x{byte:02x}" for byte in piece) + '"' for piece in short))
    arguments = [f"-max_total_time={int(seconds)}", "-timeout=20", "-rss_limit_mb=2048", "-verbosity=0"]
    arguments += ["-max_len=8192", f"-dict={words}", f"-artifact_prefix={results}/crash-"]
    atheris.Setup([sys.argv[0], *arguments, str(seeds)], one)
    atheris.Fuzz()


def by_coverage(name: str, seconds: float) -> tuple[int, dict[str, bytes]]:
    """Do as `by_seed`, guided by coverage, in a process of its own."""
    with tempfile.TemporaryDirectory() as results:
        context = multiprocessing.get_context("spawn")
        process = context.Process(target=guided, args=(name, seconds, results))
        process.start()
        process.join()
        paths = [*Path(results).glob("found-*"), *Path(results).glob("crash-*")]
        found = {}
        for path in paths:
            data = path.read_bytes()
            found[failure(name, data) or f"time or memory ({path.name[:20]})"] = data
        count = Path(results) / "tried"
        return int(count.read_text()) if count.exists() else 0, found


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
        tried, found = by_coverage(name, seconds) if is_guided else by_seed(name, seconds, given.seed)
        print(f"{name:12} {tried:9,d} inputs, {len(found)} failures", flush=True)
        for why, data in found.items():
            broken += 1
            print(f"    {why}: {keep(name, data).name} ({len(data)} bytes when found)", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
