"""From when on the API is asked after a first load from files."""

from datetime import UTC, datetime, timedelta

from vulnfeeds.drivers.nvd.gathering import begin_after

NEWEST = datetime(2026, 3, 12, 4, tzinfo=UTC)
OLD = NEWEST - timedelta(days=300)


def test_with_all_years_in_hand_an_old_file_does_not_make_the_api_repeat_a_year():
    """A file is only made anew when one of its CVEs changed, so the week before the newest file is enough."""
    assert begin_after([OLD, NEWEST], whole=True) == NEWEST - timedelta(days=7)


def test_with_a_year_missing_everything_since_the_oldest_file_is_asked():
    """What the missing file would have held can have changed at any time since."""
    assert begin_after([OLD, NEWEST], whole=False) == OLD


def test_files_of_the_same_week_begin_at_the_oldest():
    """Nothing is asked that all files hold."""
    assert begin_after([NEWEST - timedelta(days=2), NEWEST], whole=True) == NEWEST - timedelta(days=2)
