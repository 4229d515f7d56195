"""Documents kept between runs: what the store holds, and when it is begun anew."""

from __future__ import annotations

from pathlib import Path

from vulnfeeds.drivers.kept import Kept, KeptDocuments


def test_it_holds_what_was_put_and_committed(tmp_path: Path) -> None:
    """Documents of which nothing is read keep their mark, and count in no fingerprint."""
    with KeptDocuments(tmp_path / "x.sqlite", "1") as kept:
        empty = kept.fingerprint()
        kept.put("b", "mark", 5.0, None)
        assert kept.fingerprint() == empty
        kept.put("a", "mark", 6.0, b"body")
        kept.commit()
        kept.put("c", "mark", 7.0, b"forgotten")
        kept.rollback()
    with KeptDocuments(tmp_path / "x.sqlite", "1") as kept:
        assert kept.names() == ["a", "b"]
        assert kept.find("b") == Kept("mark", 5.0, filled=False)
        assert list(kept.bodies()) == [("a", b"body")]
        assert (kept.body("a"), kept.body("b"), kept.body("c")) == (b"body", None, None)
        whole = kept.fingerprint()
        kept.drop("a")
        assert whole != kept.fingerprint() == empty


def test_another_form_and_no_store_are_begun_anew(tmp_path: Path) -> None:
    """Everything in it can be had again."""
    path = tmp_path / "x.sqlite"
    with KeptDocuments(path, "1") as kept:
        kept.put("a", "mark", 6.0, b"body")
        kept.commit()
    with KeptDocuments(path, "2") as kept:
        assert kept.names() == []
    path.write_bytes(b"no store at all" * 100)
    with KeptDocuments(path, "2") as kept:
        assert kept.names() == []
