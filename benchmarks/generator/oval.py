"""OVAL as SUSE, Oracle and Microsoft write it: the tests, objects and states that definitions lead to."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from typing import BinaryIO, Final

from xxhash import xxh3_64_intdigest

NAMESPACE: Final = ' xmlns="http://oval.mitre.org/XMLSchema/oval-definitions-5#linux"'
_SECTIONS: Final = ("tests", "objects", "states")


@dataclass(frozen=True)
class Form:
    """How a vendor writes what comes after the definitions."""

    ids: str
    """What ids begin with."""
    prefix: str = ""
    """Of the names of elements."""
    attributes: str = NAMESPACE
    """Of each test, object and state."""


class Sections:
    """Tests, objects and states, each given once; an id depends on what it stands for, so it stays every day."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._files = {name: tempfile.TemporaryFile() for name in _SECTIONS}  # noqa: SIM115
        self._given: set[str] = set()

    def test(
        self, comment: str, package: str, attribute: str, operation: str, value: str, scope: str = "", at: str = ""
    ) -> str:
        """Return the id of a test; equal ones of one `scope` are the same, unless `at` differs."""
        form = self._form
        tested, named, asked = (
            self._id("tst", scope, package, attribute, operation, value, comment, at),
            self._id("obj", scope, package),
            self._id("ste", scope, attribute, operation, value),
        )
        if self._is_new(tested):
            self._files["tests"].write(
                f'\t<{form.prefix}rpminfo_test id="{tested}" version="1" comment="{comment}" '
                f'check="at least one"{form.attributes}>\n'
                f'\t\t<{form.prefix}object object_ref="{named}"/>\n'
                f'\t\t<{form.prefix}state state_ref="{asked}"/>\n'
                f"\t</{form.prefix}rpminfo_test>\n".encode()
            )
        if self._is_new(named):
            self._files["objects"].write(
                f'\t<{form.prefix}rpminfo_object id="{named}" version="1"{form.attributes}>\n'
                f"\t\t<{form.prefix}name>{package}</{form.prefix}name>\n\t</{form.prefix}rpminfo_object>\n".encode()
            )
        if self._is_new(asked):
            datatype = ' datatype="evr_string"' if attribute == "evr" else ""
            self._files["states"].write(
                f'\t<{form.prefix}rpminfo_state id="{asked}" version="1"{form.attributes}>\n'
                f'\t\t<{form.prefix}{attribute}{datatype} operation="{operation}">{value}'
                f"</{form.prefix}{attribute}>\n\t</{form.prefix}rpminfo_state>\n".encode()
            )
        return tested

    def write(self, target: BinaryIO) -> None:
        """Write the sections, in the order that all vendors have, and forget them."""
        for name, file in self._files.items():
            target.write(f"<{name}>\n".encode())
            file.seek(0)
            shutil.copyfileobj(file, target, 1 << 20)
            target.write(f"</{name}>\n".encode())
            file.close()

    def _id(self, kind: str, *parts: str) -> str:
        return f"{self._form.ids}:{kind}:2009{xxh3_64_intdigest(chr(0).join(parts).encode()) % 10**11:011}"

    def _is_new(self, name: str) -> bool:
        if name in self._given:
            return False
        self._given.add(name)
        return True
