"""CPE names: formatted strings (2.3) taken apart, and their form as URI (2.2). Pure.

cpe:2.3:a:vendor:product:1.0\\(2\\):*:*:*:*:windows:*:*    ->    cpe:/a:vendor:product:1.0%282%29::~~~windows~~
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

PARTS: Final = 13
VERSION: Final = 5

_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_NO_WILD: Final = re.compile(r"(?:[^\\*?]|\\.)*", re.DOTALL)
_URI_TOKEN: Final = re.compile(r"\\(.)|(.)", re.DOTALL)
_PLAIN: Final = re.compile(r"[a-zA-Z0-9_.-]*")
_URI_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_ANY: Final = "*:*:*:*:*:*"
# Most names are a part, vendor, product and version without a character that needs care, and nothing else.
_SIMPLE: Final = re.compile(r"cpe:2\.3:([^\W_](?::[\w.-]+){3}):\*:\*:\*:\*:\*:\*:\*", re.ASCII)


class Name(NamedTuple):
    """A formatted string around its version: `before` + version + `after` is the string."""

    product: str
    """What names with the same versions share: all attributes but version and update."""
    version: str
    before: str
    after: str

    def with_version(self, version: str) -> str:
        """Return the formatted string with another version (escaped as in a formatted string)."""
        return f"{self.before}{version}{self.after}"


def split(cpe: str) -> list[str] | None:
    """Return the 13 parts of a formatted string (`cpe`, `2.3`, part, vendor, ...), or None when it is none."""
    if "\\" not in cpe:
        parts = cpe.split(":")
    elif "\0" in cpe:
        return None
    else:
        # A colon after an escaped backslash is a separator, an escaped colon is none.
        shielded = cpe.replace("\\\\", "\0b").replace("\\:", "\0c").split(":")
        parts = [part.replace("\0c", "\\:").replace("\0b", "\\\\") for part in shielded]
    return parts if len(parts) == PARTS and parts[:2] == ["cpe", "2.3"] else None


@lru_cache(maxsize=16384)
def parse(cpe: str) -> Name | None:
    """Return a formatted string around its version, or None when it is none."""
    parts = split(cpe)
    if parts is None:
        return None
    name, others = ":".join(parts[2:VERSION]), ":".join(parts[VERSION + 2 :])
    return Name(
        product=name if others == _ANY else f"{name}|{others}",
        version=parts[VERSION],
        before=f"cpe:2.3:{name}:",
        after=f":{parts[VERSION + 1]}:{others}",
    )


def is_version(version: str) -> bool:
    """Tell whether the attribute names one version: `*`, `-` and patterns do not."""
    return bool(version) and version != "-" and _NO_WILD.fullmatch(version) is not None


@lru_cache(maxsize=16384)
def fits(version: str) -> bool:
    """Tell whether a text names one version and stays one attribute when it is put into a formatted string."""
    return is_version(version) and split(f"cpe:2.3:a:b:c:{version}:*:{_ANY}") is not None


def plain(attribute: str) -> str:
    """Return an attribute without the escapes of a formatted string."""
    return _ESCAPED.sub(r"\1", attribute)


@lru_cache(maxsize=4096)
def uri(cpe: str) -> str | None:
    """Return the URI of a formatted string, by the unbinding and binding rules of NISTIR 7695; None when it is none.

    The extended attributes are packed into the edition (`~edition~sw_edition~target_sw~target_hw~other`).
    """
    if simple := _SIMPLE.fullmatch(cpe):
        return f"cpe:/{simple[1]}"
    parts = split(cpe)
    if parts is None:
        return None
    bound = [_bind(attribute) for attribute in parts[2:]]
    part, vendor, name, version, update, edition, language, *extended = bound
    if any(extended):
        edition = "~" + "~".join([edition, *extended])
    attributes = [part, vendor, name, version, update, edition, language]
    while attributes and not attributes[-1]:
        attributes.pop()
    return "cpe:/" + ":".join(attributes)


def _bind(attribute: str) -> str:
    if attribute in ("*", "-"):
        return "" if attribute == "*" else "-"
    if _PLAIN.fullmatch(attribute):
        return attribute
    return _URI_TOKEN.sub(_bind_token, attribute)


def _bind_token(token: re.Match[str]) -> str:
    quoted, bare = token.groups()
    if bare is not None and bare in "?*":
        return "%01" if bare == "?" else "%02"
    character = quoted if quoted is not None else bare
    if character in _URI_PLAIN:
        return character
    return "".join(f"%{byte:02x}" for byte in character.encode())
