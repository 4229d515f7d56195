"""The list of drivers: ours, those of other packages, and the mistakes of both."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from typing import ClassVar

import pytest

from vulnfeeds.drivers.interface import Checkpoint, Context, Driver, Unchanged
from vulnfeeds.drivers.kev import KEVDriver
from vulnfeeds.drivers.registry import ENTRY_POINTS, OURS, load_driver, load_drivers
from vulnfeeds.errors import SettingsError


class Extra(KEVDriver):
    """A driver of another package."""

    name = "extra"


class Usurper(KEVDriver):
    """A driver of another package under a name that is in use."""

    name = "alpine"


class Nameless(Driver):
    """A driver that forgot its name."""

    feeds: ClassVar[tuple[str, ...]] = ("kev",)

    def fetch(self, context: Context) -> Checkpoint | Unchanged:
        """Never called."""
        raise AssertionError

    parse = KEVDriver.parse  # type: ignore[assignment]


def point(value: str, name: str = "extra") -> EntryPoint:
    """Return an entry point as an installed package would declare it."""
    return EntryPoint(name=name, value=value, group=ENTRY_POINTS)


def test_names_are_unique_and_dependencies_exist() -> None:
    """Every driver of ours has a name of its own, and depends on drivers of ours that come without a cycle."""
    drivers = load_drivers([])
    assert list(drivers) == list(OURS) == [driver.name for driver in drivers.values()]
    for driver in drivers.values():
        for name in driver.depends_on:
            assert driver.name not in drivers[name].depends_on


def test_each_driver_has_its_document() -> None:
    """Each feed is served by somebody, and a driver describes itself in its first line."""
    for driver in load_drivers([]).values():
        assert driver.__doc__
        assert driver.__doc__.strip()


def test_one_driver_brings_no_other_along() -> None:
    """The process of a run starts often: what it does not need it does not import."""
    code = (
        "import sys; from vulnfeeds.drivers.registry import load_driver; print(load_driver('kev').name, *sys.modules)"
    )
    name, *modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert name == "kev"
    assert not {value.partition(":")[0] for key, value in OURS.items() if key != name} & set(modules)
    with pytest.raises(SettingsError, match="no driver 'nobody'; there are alpine, "):
        load_driver("nobody")


def test_other_packages_add_drivers() -> None:
    """An entry point adds a driver behind ours."""
    drivers = load_drivers([point(f"{__name__}:Extra")])
    assert drivers["extra"] is Extra
    assert list(drivers)[-1] == "extra"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (f"{__name__}:Usurper", r"'alpine' is defined by both vulnfeeds.drivers.alpine.AlpineDriver and .*Usurper"),
        ("no_such_module:Driver", "cannot be loaded from no_such_module:Driver: No module named"),
        (f"{__name__}:Missing", "cannot be loaded"),
        (f"{__name__}:point", "no Driver class"),
        (f"{__name__}:Nameless", "no Driver class with a name"),
    ],
)
def test_a_bad_entry_point_is_refused(value: str, reason: str) -> None:
    """The error names the module, so that the operator knows which package to mend."""
    with pytest.raises(SettingsError, match=reason):
        load_drivers([point(value)])
