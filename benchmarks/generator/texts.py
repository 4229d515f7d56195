"""Names and sentences: enough variety that documents compress, compare and sort as true ones do. Pure."""

from __future__ import annotations

import random
from typing import Final


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_SYLLABLES: Final = _split("ba ko ri ne tu la mo si ve da pe fu gi ha jo ce lu my ro za")
_WORDS: Final = _split(
    "a the in of and to allows attackers remote via crafted file before version buffer overflow function arbitrary "
    "code execution denial service memory corruption request parameter user input validation improper sanitization "
    "cross-site scripting injection SQL authenticated unauthenticated privilege escalation local kernel driver race "
    "condition use-after-free heap stack integer pointer null dereference crash application server component plugin "
    "module handler parser library header field certificate session token cookie disclosure information sensitive "
    "bypass restrictions directory traversal path upload configuration default credentials admin interface network "
    "packet protocol message length missing authorization check leads exploitation successful could result affected "
    "issue has been discovered vulnerability was found critical unknown part manipulation argument exploit public "
    "disclosed patch recommended upgrade fix commit identified product earlier through"
)
_MORE: Final = tuple(f"{word}_{number}" for word in ("func", "obj", "page", "id", "cmd") for number in range(200))


def name(number: int) -> str:
    """Return a word that names a number; different numbers, different words."""
    found = ""
    number += len(_SYLLABLES)
    while number:
        number, place = divmod(number, len(_SYLLABLES))
        found += _SYLLABLES[place]
    return found


def sentence(chances: random.Random, least: int, most: int) -> str:
    """Return some words with a capital and a full stop; one in ten is rare."""
    count = least + int(chances.random() * (most - least + 1))
    words = chances.choices(_WORDS, k=count)
    words[count // 2 :: 10] = chances.choices(_MORE, k=len(words[count // 2 :: 10]))
    return f"{' '.join(words).capitalize()}."


def version(place: int) -> str:
    """Return the version of a product at a place in the order of its versions."""
    return f"{1 + place // 40}.{place // 8 % 5}.{place % 8}"
