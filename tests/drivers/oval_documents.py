"""Small OVAL documents for tests, in the form that vendors give them."""

from __future__ import annotations

from collections.abc import Iterable

LINUX = "http://oval.mitre.org/XMLSchema/oval-definitions-5#linux"
HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<oval_definitions xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5">'


def document(definitions: Iterable[str], facts: Iterable[str]) -> bytes:
    """Return a document of definitions and of what `package` made for them."""
    sections: dict[str, list[str]] = {"tests": [], "objects": [], "states": []}
    for fact in facts:
        name = next(name for name in sections if f"_{name[:-1]} " in fact)
        sections[name].append(fact)
    inner = "".join(f"<{name}>{''.join(parts)}</{name}>" for name, parts in sections.items())
    return f"{HEAD}<definitions>{''.join(definitions)}</definitions>{inner}</oval_definitions>".encode()


def definition(title: str, criteria: str, *, metadata: str = "", version: str = "1", more: str = "") -> str:
    """Return a definition; `metadata` and `more` are put into its metadata and among its attributes as they are."""
    return (
        f'<definition id="oval:x:def:1" version="{version}" class="vulnerability" {more}>'
        f"<metadata><title>{title}</title>{metadata}</metadata>{criteria}</definition>"
    )


def both(*parts: str) -> str:
    """Return criteria of which all must hold."""
    return f'<criteria operator="AND">{"".join(parts)}</criteria>'


def either(*parts: str) -> str:
    """Return criteria of which any must hold."""
    return f'<criteria operator="OR">{"".join(parts)}</criteria>'


def criterion(test: str, comment: str = "", more: str = "") -> str:
    """Return a leaf that leads to a test."""
    return f'<criterion test_ref="oval:x:tst:{test}" comment="{comment}" {more}/>'


def package(number: str, name: str, evr: str, operation: str = "less than") -> list[str]:
    """Return a test, its object and its state for a version of a package, all of the same number."""
    condition = f'<evr datatype="evr_string" operation="{operation}">{evr}</evr>'
    return facts(number, f"<name>{name}</name>", condition)


def facts(number: str, asked: str, condition: str) -> list[str]:
    """Return a test, its object and its state."""
    return [
        f'<rpminfo_test id="oval:x:tst:{number}" version="1" comment="" check="at least one" xmlns="{LINUX}">'
        f'<object object_ref="oval:x:obj:{number}"/><state state_ref="oval:x:ste:{number}"/></rpminfo_test>',
        f'<rpminfo_object id="oval:x:obj:{number}" version="1" xmlns="{LINUX}">{asked}</rpminfo_object>',
        f'<rpminfo_state id="oval:x:ste:{number}" version="1" xmlns="{LINUX}">{condition}</rpminfo_state>',
    ]
