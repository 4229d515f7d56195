"""A body that breaks off is resumed where that is safe, begun anew where it is not, and never accepted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from vulnfeeds.errors import DownloadError
from vulnfeeds.fetch.settings import FetchSettings
from vulnfeeds.testing.upstream import UpstreamSimulator

URL = "https://example.org/data.bin"
BODY = bytes(range(256)) * 8000
HALF = len(BODY) // 2
ONCE = FetchSettings(attempts=1, connect_seconds=5, read_seconds=5)


def broken_off(upstream: UpstreamSimulator, target: Path, **fault: Any) -> None:
    """Bring the first half of the body, as an earlier run did."""
    upstream.put(URL, BODY)
    upstream.fault(URL, times=1, truncate_at=HALF, **fault)
    with upstream.fetcher(ONCE) as fetcher, pytest.raises(DownloadError, match="cut short"):
        fetcher.download(URL, target)
    assert not target.exists()
    upstream.log.clear()


def test_the_next_attempt_asks_for_the_rest(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Cut short three times within one download: every byte comes once, and the file is whole."""
    upstream.put(URL, BODY)
    upstream.fault(URL, times=3, truncate_at=600_000)
    with upstream.fetcher() as fetcher:
        got = fetcher.download(URL, tmp_path / "data.bin")
    assert got.path.read_bytes() == BODY
    assert got.bytes_fetched == len(BODY)
    assert [seen.status for seen in upstream.log] == [200, 206, 206, 206]
    assert upstream.log[1].headers["range"] == "bytes=600000-"
    assert upstream.log[1].headers["if-range"].startswith('"')


def test_the_next_run_resumes_too(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """What an ended process left is used by the next one."""
    broken_off(upstream, tmp_path / "data.bin")
    assert (tmp_path / "data.bin.partial").stat().st_size == HALF
    with upstream.fetcher(ONCE) as fetcher:
        got = fetcher.download(URL, tmp_path / "data.bin")
    assert [seen.status for seen in upstream.log] == [206]
    assert got.bytes_fetched == len(BODY) - HALF
    assert got.path.read_bytes() == BODY
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.bin", "data.bin.validators.json"]


def test_a_changed_document_is_begun_anew(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """If-Range makes the upstream send the whole new body, never halves of two versions."""
    broken_off(upstream, tmp_path / "data.bin")
    upstream.put(URL, BODY[::-1])
    with upstream.fetcher(ONCE) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY[::-1]
    assert [seen.status for seen in upstream.log] == [200]


def test_an_upstream_that_ignores_ranges_sends_it_all(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """A 200 to a range request replaces the partial body."""
    broken_off(upstream, tmp_path / "data.bin")
    upstream.fault(URL, ranges=False)
    with upstream.fetcher(ONCE) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY
    assert [seen.status for seen in upstream.log] == [200]


def test_a_range_beyond_the_end_is_begun_anew(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """416: the partial file is longer than the document (or the upstream is confused), so it counts for nothing."""
    broken_off(upstream, tmp_path / "data.bin")
    upstream.fault(URL, times=1, status=416)
    with upstream.fetcher(ONCE) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY
    assert [seen.status for seen in upstream.log] == [416, 200]
    assert "range" not in upstream.log[1].headers


@pytest.mark.parametrize(
    "answer",
    [
        {"Content-Range": f"bytes 0-{len(BODY) - 1}/{len(BODY)}"},
        {"Content-Range": f"bytes {HALF}-{len(BODY)}/{len(BODY) + 1}"},
        {"Content-Range": "bytes half to end"},
        {"Content-Range": ""},
        {"Content-Range": f"bytes {HALF}-{len(BODY) - 1}/{len(BODY)}", "Content-Encoding": "gzip"},
    ],
)
def test_a_range_that_does_not_fit_is_not_appended(
    upstream: UpstreamSimulator, tmp_path: Path, answer: dict[str, str]
) -> None:
    """A 206 of another place, size or encoding is thrown away and the whole body asked for."""
    broken_off(upstream, tmp_path / "data.bin")
    upstream.fault(URL, times=1, status=206, headers=answer, body=b"x" * (len(BODY) - HALF))
    with upstream.fetcher(ONCE) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY
    assert [seen.status for seen in upstream.log] == [206, 200]


def test_without_validators_nothing_is_resumed(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Nothing would tell whether the two halves belong together."""
    broken_off(upstream, tmp_path / "data.bin", validators=False)
    with upstream.fetcher(ONCE) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY
    assert "range" not in upstream.log[0].headers


def test_a_weak_etag_is_no_ground_for_resuming(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """With a weak ETag the date decides; with a weak ETag only, it is begun anew."""
    broken_off(upstream, tmp_path / "data.bin", headers={"ETag": 'W/"1"'})
    with upstream.fetcher(ONCE) as fetcher:
        fetcher.download(URL, tmp_path / "data.bin")
        assert "GMT" in upstream.log[0].headers["if-range"]
    (tmp_path / "second").mkdir()
    broken_off(upstream, tmp_path / "second" / "data.bin", headers={"ETag": 'W/"1"', "Last-Modified": ""})
    with upstream.fetcher(ONCE) as fetcher:
        fetcher.download(URL, tmp_path / "second" / "data.bin")
        assert "range" not in upstream.log[0].headers


def test_a_partial_body_of_another_address_is_not_used(tmp_path: Path) -> None:
    """The map leads elsewhere now: begun anew."""
    with UpstreamSimulator() as one, UpstreamSimulator({URL: BODY}) as other:
        broken_off(one, tmp_path / "data.bin")
        with other.fetcher() as fetcher:
            assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY
        assert "range" not in other.log[0].headers


def test_a_damaged_mark_beside_a_partial_body_only_costs_bytes(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """Marks that cannot be read mean that there is nothing to resume."""
    broken_off(upstream, tmp_path / "data.bin")
    (tmp_path / "data.bin.partial.json").write_bytes(b"{")
    with upstream.fetcher(ONCE) as fetcher:
        assert fetcher.download(URL, tmp_path / "data.bin").path.read_bytes() == BODY


def test_an_old_target_and_a_partial_new_one_live_together(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """The new version broke off: the old file stays, then the rest arrives; back to the old one means 304."""
    target = tmp_path / "data.bin"
    old = b"\1" + BODY
    upstream.put(URL, old)
    with upstream.fetcher(ONCE) as fetcher:
        fetcher.download(URL, target)
        upstream.put(URL, BODY, modified=datetime(2024, 2, 1, tzinfo=UTC))
        upstream.fault(URL, times=1, truncate_at=HALF)
        with pytest.raises(DownloadError):
            fetcher.download(URL, target)
        assert target.read_bytes() == old
        got = fetcher.download(URL, target)
        assert (got.changed, got.bytes_fetched) == (True, len(BODY) - HALF)
        assert target.read_bytes() == BODY
        upstream.put(URL, old, modified=datetime(2024, 3, 1, tzinfo=UTC))
        upstream.fault(URL, times=1, truncate_at=HALF)
        with pytest.raises(DownloadError):
            fetcher.download(URL, target)
        upstream.put(URL, BODY, modified=datetime(2024, 2, 1, tzinfo=UTC))
        assert not fetcher.download(URL, target).changed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data.bin", "data.bin.validators.json"]


def test_a_wrong_body_is_not_kept_for_resuming(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """An HTML page that broke off, and a body above the ceiling, leave nothing."""
    upstream.fault(URL, body=b"<html><body>" + b"sorry " * 9000)
    with upstream.fetcher(ONCE) as fetcher, pytest.raises(DownloadError):
        fetcher.download(URL, tmp_path / "data.bin", expect=("gzip",))
    assert list(tmp_path.iterdir()) == []


def test_truncation_without_end_is_an_error_with_the_file_absent(upstream: UpstreamSimulator, tmp_path: Path) -> None:
    """When every attempt is cut short and nothing can be resumed, the download fails and no file appears."""
    upstream.put(URL, BODY)
    upstream.fault(URL, truncate_at=HALF, chunked=True, validators=False)
    with upstream.fetcher() as fetcher, pytest.raises(DownloadError, match="cut short"):
        fetcher.download(URL, tmp_path / "data.bin")
    assert not (tmp_path / "data.bin").exists()
    assert len(upstream.log) == 5
