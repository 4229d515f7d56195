"""The compact table of digests: it says what a dictionary and a set would say."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.sync.marks import Marks

keys = st.text(max_size=12) | st.integers(0, 5000).map(lambda number: f"CVE-2024-{number:04}")
digests = st.binary(min_size=16, max_size=16) | st.binary(min_size=16, max_size=16).map(lambda digest: digest + b"w")


@given(st.dictionaries(keys, digests), st.lists(keys), st.lists(keys))
def test_it_says_what_a_dictionary_and_a_set_say(
    held: dict[str, bytes], reported: list[str], asked: list[str]
) -> None:
    """Digests of live records, what was reported and what twice, and the counts of both."""
    marks = Marks()
    for key, digest in held.items():
        marks.hold(key, digest)
    seen: set[str] = set()
    for key in [*reported, *list(held)[::2]]:
        assert marks.see(key) == (key in seen)
        seen.add(key)
    live = {key for key, digest in held.items() if len(digest) == 16}
    for key in [*asked, *held, *reported]:
        assert marks.digest(key) == (held[key] if key in live else None)
        assert marks.was_seen(key) == (key in seen)
    assert (marks.seen, marks.live, marks.live_seen) == (len(seen), len(live), len(live & seen))


def test_many_keys_keep_their_own_digests() -> None:
    """The table grows over several sizes, and no entry is lost or mixed up on the way."""
    marks = Marks()
    names = [f"CVE-{number}" for number in range(40_000)]
    for number, name in enumerate(names):
        marks.hold(name, number.to_bytes(16))
    assert not any(marks.see(name) for name in names[::3])
    assert all(marks.digest(name) == number.to_bytes(16) for number, name in enumerate(names))
    assert [name for name in names if marks.was_seen(name)] == names[::3]
    assert marks.digest("CVE-40000") is None
