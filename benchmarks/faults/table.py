"""The generated parts of docs/faults.md."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path

from benchmarks.faults.trial import ALL, Cell

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- begin: {} -->", "<!-- end: {} -->"


def write(cells: Sequence[Cell], order: Sequence[str]) -> None:
    """Put what was found into the document; upstreams of `order` that were not tried stay as they are."""
    sections = {part.partition("\n")[0]: part for part in re.split(r"^### ", block("matrix"), flags=re.MULTILINE)}
    sections |= {part.partition("\n")[0]: part for part in matrix(cells).split("### ")}
    known = [sections[name].strip() for name in order if name in sections]
    replace("matrix", "\n\n".join(f"### {part}" for part in known))


def block(name: str) -> str:
    """Return what stands between a block's marks; LookupError when the document has none."""
    if not (found := _place(name).search(DOCUMENT.read_text())):
        raise LookupError(f"{DOCUMENT.name} has no part for {name}")
    return found[1]


def replace(name: str, text: str) -> None:
    """Put a text between a block's marks; LookupError when the document has none."""
    block(name)
    whole = f"{BEGIN.format(name)}\n{text}\n{END.format(name)}"
    DOCUMENT.write_text(_place(name).sub(lambda _: whole, DOCUMENT.read_text()))


def _place(name: str) -> re.Pattern[str]:
    return re.compile(f"{re.escape(BEGIN.format(name))}\n?(.*?){re.escape(END.format(name))}", re.DOTALL)


def matrix(cells: Sequence[Cell]) -> str:
    """Return a table for each upstream: a row for each kind of fault."""
    found: dict[str, dict[str, list[Cell]]] = defaultdict(lambda: defaultdict(list))
    for cell in cells:
        found[cell.upstream][cell.kind].append(cell)
    lines = []
    for upstream, kinds in found.items():
        some = next(iter(kinds.values()))
        documents = len({cell.target for of_kind in kinds.values() for cell in of_kind} - {ALL})
        lines += [
            f"### {upstream}",
            "",
            f"{documents} documents; {some[0].before} records on day 1.",
            "",
            "| fault | everything at once | one document at a time | records then |",
            "|---|---|---|---|",
        ]
        for kind, of_kind in kinds.items():
            alone = [cell for cell in of_kind if cell.target != ALL]
            whole = [cell for cell in of_kind if cell.target == ALL]
            least = min(cell.after for cell in of_kind)
            lines.append(f"| {kind} | {_said(whole)} | {_said(alone)} | {least} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def _said(cells: Sequence[Cell]) -> str:
    if not cells:
        return "-"
    counts = Counter(f"failed ({cell.error})" if cell.outcome == "failed" else cell.outcome for cell in cells)
    if len(counts) == 1 and len(cells) == 1:
        return next(iter(counts))
    return ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
