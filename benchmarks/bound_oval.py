"""The least that reading an OVAL document can cost: the parser's events, as few as will do, and what they lead to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from vulnfeeds.fetch.decompress import open_bounded

_CHUNK = 1 << 20
_TEXTS = frozenset({"title", "description", "severity", "name", "evr", "version", "arch", "ref_id", "patchable"})


class Document:
    """All definitions, and what each test means; nothing is looked at that no record needs."""

    def __init__(self, path: Path) -> None:
        self.definitions: list[tuple[dict[str, str], list[Any]]] = []
        self.tests: dict[str, tuple[str, str]] = {}
        self.names: dict[str, str] = {}
        self.states: dict[str, tuple[str, str, str]] = {}
        self._texts: list[str] = []
        self._open: list[list[Any]] = []
        self._id = self._operation = ""
        self._object = ""
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        with open_bounded(path, max_bytes=4 << 30, url=path.name) as stream:
            while chunk := stream.read(_CHUNK):
                self._parser.Parse(chunk, False)
            self._parser.Parse(b"", True)

    def _start(self, tag: str, given: dict[str, str]) -> None:
        name = tag[10:] if tag[:10] == "linux-def:" else tag
        if name == "criterion":
            self._open[-1].append((given["test_ref"], given["comment"]))
        elif name == "criteria":
            self._open.append([given["operator"]])
        elif name in _TEXTS:
            self._operation = given.get("operation", "")
            self._texts = []
            self._parser.CharacterDataHandler = self._texts.append
        elif name == "object":
            self._object = given["object_ref"]
        elif name == "state":
            self.tests[self._id] = self._object, given["state_ref"]
        elif name in ("rpminfo_test", "rpminfo_object", "rpminfo_state"):
            self._id = given["id"]
        elif name == "definition":
            self.definitions.append(({"id": given["id"]}, []))
            self._open = [self.definitions[-1][1]]

    def _end(self, tag: str) -> None:
        name = tag[10:] if tag[:10] == "linux-def:" else tag
        if name == "criteria":
            branch = self._open.pop()
            self._open[-1].append(branch)
        elif name in _TEXTS:
            self._parser.CharacterDataHandler = None
            text = "".join(self._texts).strip()
            if name == "name":
                self.names[self._id] = text
            elif name in ("evr", "version", "arch"):
                self.states[self._id] = name, self._operation, text
            elif self.definitions:
                self.definitions[-1][0][name] = text

    def meant(self, test: str) -> tuple[str, str, str]:
        """Return package, attribute and value of a test."""
        target, state = self.tests[test]
        attribute, _, value = self.states.get(state, ("", "", ""))
        return self.names[target], attribute, value


def sles(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the fixes of each service pack of a CVE, as the branches below the topmost one have them."""
    document = Document(path)
    for facts, criteria in document.definitions:
        found: dict[str, list[tuple[str, str]]] = {}
        for branch in criteria[0][1:]:
            releases = []
            fixes = []
            for test, comment in _leaves(branch):
                if " is signed with " in comment:
                    continue
                package, attribute, value = document.meant(test)
                if attribute == "version" and value != "0":
                    if package == "sles-release":
                        releases.append(value)
                else:
                    fixes.append((package, value))
            for release in releases:
                found.setdefault(release, []).extend(fixes)
        for release, fixes in found.items():
            yield f"{release} {facts['title']}", (facts, fixes)


def ol(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each advisory with its packages."""
    document = Document(path)
    for facts, criteria in document.definitions:
        fixes = {
            document.meant(test)[::2] for test, comment in _leaves(criteria[0]) if " is earlier than " in comment
        }
        yield facts["title"], (facts, sorted(fixes))


def mariner(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each definition with its package."""
    document = Document(path)
    for facts, criteria in document.definitions:
        if facts["patchable"] != "Not Applicable":
            yield facts["title"], (facts, [document.meant(test) for test, _ in _leaves(criteria[0])])


def _leaves(branch: list[Any]) -> Iterator[tuple[str, str]]:
    for part in branch[1:]:
        if isinstance(part, tuple):
            yield part
        else:
            yield from _leaves(part)
