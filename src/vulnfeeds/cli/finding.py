"""Commands that look across groups: everything about an identifier, the records of a package or product."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from vulnfeeds.api import joining, questions
from vulnfeeds.api.crossing import Crossing, is_identifier
from vulnfeeds.cli.compose import open_reader
from vulnfeeds.cli.options import Output
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.errors import BadRequestError, NotFoundError
from vulnfeeds.records.handles import Kind

DEFAULT_LIMIT = 100
_MOST_PRODUCTS = 5
_OUTPUT = Output()
_Joins = Annotated[str, Parameter(name="--with", help="Joined to each CVE, by comma: kev,epss,cvss,cwe.")]
_Limit = Annotated[int, Parameter(help="Most records to show.")]
_COLUMNS = {
    "group": "GROUP",
    "key": "KEY",
    "severity": "SEVERITY",
    "fixes": "FIXES",
}


def show(
    identifier: str,
    /,
    *,
    joins: _Joins = "",
    limit: _Limit = DEFAULT_LIMIT,
    output: Output = _OUTPUT,
) -> None:
    """Show what every group says of a vulnerability or an advisory.

    Parameters
    ----------
    identifier
        An id such as CVE-2021-44228, GHSA-jfh8-c2jp-5v3q or DSA-5020-1.
    """
    _check(limit)
    if not is_identifier(identifier):
        raise NotFoundError(f"no record speaks of {identifier[:300]!r}")
    with open_reader(output) as store:
        found, more = Crossing(store).about(identifier, joins=joining.words(joins), limit=limit)
    terminal = Terminal(as_json=output.json)
    if not terminal.as_json:
        terminal.facts({"id": found["id"], "aliases": found["aliases"]})
    _show(terminal, found, {"relation": "RELATION", **_COLUMNS}, is_cut=more is not None)


def search(
    package: str | None = None,
    /,
    *,
    purl: Annotated[str | None, Parameter(help="A package URL: pkg:deb/debian/openssl@1.1?distro=debian-11.")] = None,
    cpe: Annotated[str | None, Parameter(help="A CPE 2.3 name with vendor and product.")] = None,
    group: Annotated[str | None, Parameter(help="Groups to look in, by comma: debian:*,ubuntu:22.04.")] = None,
    version: Annotated[str | None, Parameter(help="Say of each fix whether this version is affected.")] = None,
    joins: _Joins = "",
    limit: _Limit = DEFAULT_LIMIT,
    output: Output = _OUTPUT,
) -> None:
    """Find the records of a package or a product in all groups.

    Parameters
    ----------
    package
        Name of a package.
    """
    _check(limit)
    given = {"package": package, "purl": purl, "cpe": cpe, "group": group, "version": version}
    question = questions.parse({name: value for name, value in given.items() if value})
    with open_reader(output) as store:
        found, more = Crossing(store).search(question, joins=joining.words(joins), limit=limit)
    last = {"affected": "AFFECTED"} if question.version and question.kind is Kind.PACKAGE else {}
    _show(Terminal(as_json=output.json), found, {**_COLUMNS, **last}, is_cut=more is not None)


def _check(limit: int) -> None:
    if limit < 1:
        raise BadRequestError("--limit must be 1 or more")


def _show(terminal: Terminal, found: dict[str, Any], columns: dict[str, str], *, is_cut: bool) -> None:
    if terminal.as_json:
        terminal.value({**found, "more": is_cut})
        return
    terminal.rows(columns, [_row(record) for record in found["records"]], nothing="no records")
    for cve, known in found.get("joined", {}).items():
        terminal.facts({f"{cve} {word}": value for word, value in known.items()})
    if is_cut:
        terminal.say("there are more; --limit shows them")
    if not found["index"]["complete"]:
        groups = ", ".join(lag["group"] for lag in found["index"]["behind"])
        terminal.say(f"records may be missing: the index is not complete for {groups}; `vulnfeeds sync` completes it")


def _row(record: dict[str, Any]) -> dict[str, Any]:
    fixes = [_said(fix) for fix in record["fixes"]]
    products = list(dict.fromkeys(product["cpe"] for product in record["products"]))
    fixes += products[:_MOST_PRODUCTS]
    if len(products) > _MOST_PRODUCTS or record["products_cut"]:
        fixes.append("and more")
    answers = {fix.get("affected") for fix in record["fixes"]}
    is_affected = True if True in answers else None if None in answers else False
    return {**record, "fixes": "withdrawn" if record["withdrawn"] else fixes, "affected": is_affected}


def _said(fix: dict[str, Any]) -> str:
    return f"{fix['package']} {fix.get('version') or fix['status'].replace('_', ' ')}"
