"""All comparisons of the drivers, and what is said of them: a table for people, a part of each driver's document."""

from __future__ import annotations

import gc
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

from tests.fidelity import alpine, amazon, debian, epss, errata, github, kev, nvd, oval, rhel, rolling, ubuntu
from tests.fidelity.agreement import Agreement, DifferenceClass
from tests.fidelity.world import World

SUITES: Final[dict[str, Callable[[World], list[Agreement]]]] = {
    "alpine": alpine.run,
    "amazon": amazon.run,
    "debian": debian.run,
    "github": github.run,
    "kev": kev.run,
    "epss": epss.run,
    "nvd": nvd.run,
    "nvd-overrides": nvd.run_with_overrides,
    "rolling": rolling.run,
    "echo": rolling.run_echo,
    "alma": errata.run,
    "rocky": errata.run_rocky,
    "oracle": oval.run_oracle,
    "mariner": oval.run_mariner,
    "sles": oval.run_sles,
    "rhel": rhel.run,
    "ubuntu": ubuntu.run,
}
"""Comparisons that share their documents, by the name of what is compared."""

BEGIN: Final = "<!-- fidelity {}: written by `python -m benchmarks.fidelity --write`, checked by tests/fidelity -->"
END: Final = "<!-- end of fidelity {} -->"


def run(suite: str, world: World) -> list[Agreement]:
    """Return the comparisons of a suite."""
    # Half a million small objects live until the comparison ends: looking for garbage among them costs half the time.
    gc.disable()
    try:
        return SUITES[suite](world)
    finally:
        gc.enable()


def table(agreements: Iterable[Agreement]) -> str:
    """Return agreement by driver, comparison and field, then the classes of the differences."""
    lines = []
    for found in agreements:
        lines.append(f"\n{found.driver} against {found.against}")
        for name, compared in found.compared.items():
            part = found.equal[name] / compared
            lines.append(f"    {name:24} {found.equal[name]:>8,} of {compared:>8,}  {part:8.2%}")
        for (name, where), count in found.classed.items():
            lines.append(f"      {count:>8,} {where}: {name}")
        lines += [f"      FAULT {fault}" for fault in found.faults()]
    return "\n".join(lines)


def blocks(suite: str, agreements: list[Agreement]) -> dict[str, str]:
    """Return the part of each driver's document that a suite is answerable for."""
    drivers = list(dict.fromkeys(found.driver for found in agreements))
    return {driver: _block(suite, [found for found in agreements if found.driver == driver]) for driver in drivers}


def _block(suite: str, agreements: list[Agreement]) -> str:
    lines = [BEGIN.format(suite), "", "Equal values, of those that both sides have:", ""]
    lines += _row(["field", *(found.against for found in agreements)])
    lines += [f"|---|{'---|' * len(agreements)}"]
    for name in dict.fromkeys(name for found in agreements for name in found.compared):
        lines += _row([name, *(_cell(found, name) for found in agreements)])
    classes: dict[str, DifferenceClass] = {known.name: known for found in agreements for known in found.declared}
    if classes:
        lines += ["", "All differences, by cause:", ""]
        lines += _row(["difference", "in", "values", "example", "cause", "who is right"])
        lines += ["|---|---|---|---|---|---|"]
        lines += [line for known in classes.values() for line in _class(known, agreements)]
    return "\n".join([*lines, "", END.format(suite)])


def _class(known: DifferenceClass, agreements: list[Agreement]) -> list[str]:
    counted = [
        (field, count) for found in agreements for (name, field), count in found.classed.items() if name == known.name
    ]
    fields = ", ".join(dict.fromkeys(field for field, _ in counted))
    right = f"{RIGHT[known.right]}{f': {known.why}' if known.why else ''}"
    example = next((found.examples[known.name] for found in agreements if known.name in found.examples), "")
    total = f"{sum(count for _, count in counted):,}"
    return _row([known.name, fields, total, f"`{example}`", known.cause, right])


RIGHT: Final = {"ours": "here", "theirs": "they", "either": "either", "both": "both"}


def _cell(found: Agreement, name: str) -> str:
    if name not in found.compared:
        return ""
    equal, compared = found.equal[name], found.compared[name]
    return f"{compared:,}" if equal == compared else f"{equal:,} of {compared:,}"


def _row(cells: list[str]) -> list[str]:
    return [f"| {' | '.join(cells)} |"]


def document(docs: Path, driver: str) -> Path:
    """Return where a driver's document is."""
    return docs / "drivers" / f"{driver}.md"


def in_document(text: str, suite: str) -> str | None:
    """Return the part of a document that belongs to a suite, or None."""
    found = _place(suite).search(text)
    return found.group() if found else None


def write(docs: Path, driver: str, suite: str, block: str) -> None:
    """Replace a suite's part of a driver's document; the document must have one, whatever it says."""
    path = document(docs, driver)
    text = path.read_text()
    if in_document(text, suite) is None:
        raise LookupError(f"{path.name} has no part for {suite}: add {BEGIN.format(suite)} and {END.format(suite)}")
    path.write_text(_place(suite).sub(lambda _: block, text))


def _place(suite: str) -> re.Pattern[str]:
    return re.compile(re.escape(BEGIN.format(suite)) + ".*?" + re.escape(END.format(suite)), re.DOTALL)
