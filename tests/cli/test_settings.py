"""Settings: where values come from, and what is said about those that make no sense."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vulnfeeds.cli import reference
from vulnfeeds.config import Registry, Secret, Settings, default_home, find_file, hide_password, load
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.errors import SettingsError

REGISTRY: Registry = load_drivers()
Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a settings file and returns its path."""

    def writer(text: str) -> Path:
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return writer


def refusal(path: Path | None, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as refused:
        load(path, environ or {}, REGISTRY)
    return str(refused.value)


def test_defaults_need_no_file() -> None:
    """Without a file and a variable, every setting has its documented default."""
    settings = load(None, {"HOME": "/nowhere/user"}, REGISTRY)
    assert (settings.port, settings.driver_sync, settings.api_only) == (8228, 7200, False)
    assert settings.home == Path("/nowhere/user/.local/share/vulnfeeds")
    assert settings.store_url == "sqlite:////nowhere/user/.local/share/vulnfeeds/vulnfeeds.sqlite"


def test_later_sources_win(write: Write) -> None:
    """The environment wins over the file, an option over the environment; an option not given changes nothing."""
    file = write("port = 1\ndriver_sync = 11\nworkers = 7\n")
    environ = {"VULNFEEDS_PORT": "2", "VULNFEEDS_DRIVER_SYNC": "22"}
    settings = load(file, environ, REGISTRY, {"port": 3, "home": None})
    assert (settings.port, settings.driver_sync, settings.workers) == (3, 22, 7)


def test_environment_reaches_every_type() -> None:
    """Lists by comma, tables as pairs, nested names with two underscores, truth as words."""
    settings = load(
        None,
        {
            "VULNFEEDS_DRIVERS": "kev, alpine",
            "VULNFEEDS_UPSTREAMS": "a.example=http://m.example/x?,b.example=direct",
            "VULNFEEDS_API_ONLY": "true",
            "VULNFEEDS_RETENTION__TASKS_DAYS": "5",
            "VULNFEEDS_DRIVER__ALPINE__NOT_AFFECTED": "false",
            "VULNFEEDS_FETCH__READ_SECONDS": "2.5",
        },
        REGISTRY,
    )
    assert set(settings.drivers) == {"alpine", "kev"}
    assert settings.upstreams == {"a.example": "http://m.example/x?", "b.example": "direct"}
    assert settings.api_only is True
    assert settings.retention.tasks_days == 5
    assert settings.driver["alpine"].not_affected is False  # type: ignore[attr-defined]
    assert settings.fetch.read_seconds == 2.5


def test_tokens_come_under_their_usual_names() -> None:
    """NVD_API_KEY and GITHUB_TOKEN are read as they are; our own names win; drivers get those that are set."""
    settings = load(None, {"NVD_API_KEY": "plain", "VULNFEEDS_NVD_API_KEY": "own"}, REGISTRY)
    assert settings.secrets == {"NVD_API_KEY": "own"}
    assert load(None, {"GITHUB_TOKEN": "t"}, REGISTRY).secrets == {"GITHUB_TOKEN": "t"}


def test_empty_variables_count_as_not_set() -> None:
    """A compose file that passes on an unset variable changes nothing."""
    assert load(None, {"VULNFEEDS_PORT": "", "VULNFEEDS_DRIVERS": ""}, REGISTRY).port == 8228


def test_variables_of_kubernetes_are_passed_over() -> None:
    """What Kubernetes sets for a service named vulnfeeds is not taken for settings."""
    settings = load(
        None,
        {
            "VULNFEEDS_PORT": "tcp://10.0.0.7:8228",
            "VULNFEEDS_SERVICE_HOST": "10.0.0.7",
            "VULNFEEDS_SERVICE_PORT_HTTP": "8228",
            "VULNFEEDS_PORT_8228_TCP_ADDR": "10.0.0.7",
        },
        REGISTRY,
    )
    assert settings.port == 8228


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("prot = 1", ["prot is not a setting", "did you mean 'port'?"]),
        ("port = 'x'", ["port: expected `int`", "'x'"]),
        ("port = 70000", ["port: expected `int` <= 65535", "70000"]),
        ("api_only = 'yes'", ["api_only: expected `bool`", "'yes'"]),
        ("driver_sync = 0", ["driver_sync: expected `int` >= 1", "got 0"]),
        ("severity_source = 'best'", ["severity_source", "'newest', 'cvss2', 'none'", "'best'"]),
        ("drivers = ['apline']", ["drivers: no driver 'apline'", "did you mean 'alpine'?"]),
        ("drivers = ['zzz']", ["no driver 'zzz'", "known are alma"]),
        ("retention = 1", ["retention is a table"]),
        ("[retention]\nversion_days = 1", ["retention.version_days is not a setting", "'versions_days'"]),
        ("[driver.debain]", ["driver.debain: no such driver", "did you mean 'debian'?"]),
        ("[driver.alpine]\nnot_afected = true", ["driver.alpine.not_afected", "'not_affected'"]),
        ("[driver.alpine]\nmemory_mb = 'much'", ["driver.alpine.memory_mb: expected `int`", "'much'"]),
        ("[driver]\nalpine = 3", ["driver.alpine is a table"]),
        ("driver = 3", ["driver is a table"]),
        ("[fetch]\nattempts = 0", ["fetch", "attempts must be more than 0"]),
        ("port = 1\nport = 2", ["not valid TOML"]),
        ("port = \n", ["not valid TOML", "line 1"]),
    ],
)
def test_bad_file_is_named_with_the_key(write: Write, text: str, parts: list[str]) -> None:
    """What is wrong in the file is said with the file, the key, the value and the nearest known name."""
    file = write(text)
    said = refusal(file)
    assert said.startswith(str(file))
    for part in parts:
        assert part in said


def test_tables_by_the_operators_own_names(write: Write) -> None:
    """A driver's table of tables comes from the file and from variables; its passwords do not show."""
    file = write("[driver.vunnel.sources.lab]\nprogram = 'p'\nenvironment = {PROXY = 'http://u:hush@h/'}\n")
    lab = "VULNFEEDS_DRIVER__VUNNEL__SOURCES__LAB__"
    settings = load(file, {f"{lab}ARGUMENTS": "-m, vunnel", f"{lab}SECONDS": "5"}, REGISTRY)
    source = settings.driver["vunnel"].sources["lab"]  # type: ignore[attr-defined]
    assert (source.program, source.arguments, source.seconds) == ("p", ("-m", "vunnel"), 5.0)
    assert "hush" not in repr(reference.effective(settings))
    said = refusal(write("[driver.vunnel.sources.lab]\nprogramme = 'p'\nenvironment = {TOKEN = 'hush'}\n"))
    assert "driver.vunnel.sources" in said
    assert "`programme`" in said
    assert "hush" not in said


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("VULNFEEDS_PROT", "1", "did you mean 'port'?"),
        ("VULNFEEDS_PORT", "abc", "port: expected `int`, got 'abc'"),
        ("VULNFEEDS_RETENTION", "5", "retention is a table"),
        ("VULNFEEDS_DRIVER__ALPIN__MEMORY_MB", "5", "did you mean 'alpine'?"),
        ("VULNFEEDS_DRIVER__ALPINE__MEMORY", "5", "did you mean 'memory_mb'?"),
        ("VULNFEEDS_PORT__X", "5", "port"),
    ],
)
def test_bad_variable_is_named(variable: str, value: str, part: str) -> None:
    """What is wrong in the environment is said with the variable."""
    said = refusal(None, {variable: value})
    assert said.startswith(variable)
    assert part in said


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    """A file that is missing, a folder, or not UTF-8 is named with the reason."""
    assert "cannot be read: No such file" in refusal(tmp_path / "missing.toml")
    assert "cannot be read: Is a directory" in refusal(tmp_path)
    (tmp_path / "latin.toml").write_bytes(b"home = '\xe4'")
    assert "not UTF-8" in refusal(tmp_path / "latin.toml")


def test_secrets_never_show(write: Write) -> None:
    """A secret is in no representation and in no refusal; a password in an address neither."""
    settings = load(None, {"NVD_API_KEY": "hush", "VULNFEEDS_STORE": "postgresql://u:hush@h/n"}, REGISTRY)
    shown = reference.effective(settings)
    assert "hush" not in repr(settings.nvd_api_key) + str(settings.nvd_api_key) + repr(shown)
    assert shown["store"] == "postgresql://u:(hidden)@h/n"
    assert "hush" not in refusal(write("nvd_api_key = ['hush']"))
    assert "hush" not in refusal(write("port = 'http://u:hush@h/'"))


def test_the_file_is_looked_for_in_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable first, then the working folder, then the user's configuration."""
    monkeypatch.chdir(tmp_path)
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    assert find_file({"VULNFEEDS_CONFIG": "/named.toml"}) == Path("/named.toml")
    user = tmp_path / "xdg" / "vulnfeeds" / "vulnfeeds.toml"
    user.parent.mkdir(parents=True)
    user.write_text("port = 5")
    assert load(None, environ, REGISTRY).port == 5
    (tmp_path / "vulnfeeds.toml").write_text("port = 6")
    assert load(None, environ, REGISTRY).port == 6


@pytest.mark.parametrize(
    ("environ", "home"),
    [
        ({"XDG_DATA_HOME": "/data", "HOME": "/h"}, "/data/vulnfeeds"),
        ({"HOME": "/h"}, "/h/.local/share/vulnfeeds"),
        ({"HOME": "/"}, "/var/lib/vulnfeeds"),
        ({}, "/var/lib/vulnfeeds"),
    ],
)
def test_data_folder_suits_people_and_containers(environ: dict[str, str], home: str) -> None:
    """A user gets a folder of their own, a container without a home folder the system's."""
    assert default_home(environ) == Path(home)


def test_home_may_begin_with_a_tilde(write: Write) -> None:
    """`~` in a file means the user's home folder, which no shell has replaced there."""
    assert load(write("home = '~/feeds'"), {"HOME": "/h"}, REGISTRY).home == Path("/h/feeds")


def test_each_driver_gets_its_own_settings_class() -> None:
    """Every driver has a section, with its own class, whether the file names it or not."""
    settings = load(None, {}, REGISTRY)
    assert {name: type(section) for name, section in settings.driver.items()} == {
        name: driver.Settings for name, driver in REGISTRY.items()
    }


def test_file_of_defaults_is_the_defaults(write: Write) -> None:
    """The file that `config defaults` writes is valid, complete, and changes nothing when it is used."""
    text = reference.defaults(REGISTRY)
    uncommented = "\n".join(
        line.removeprefix("# ") if " = " in line or line.startswith("# [") else line for line in text.splitlines()
    )
    names = set(tomllib.loads(uncommented))
    assert names == set(Settings.__struct_fields__)
    settings = load(write(uncommented), {"HOME": "/h"}, REGISTRY)
    assert reference.effective(settings) == reference.effective(load(None, {"HOME": "/h"}, REGISTRY))


@given(st.dictionaries(st.text(max_size=12), st.one_of(st.integers(), st.text(), st.booleans(), st.lists(st.text()))))
def test_any_file_is_settings_or_refused(tree: dict[str, Any]) -> None:
    """Whatever stands in a file or a variable, the answer is settings or a SettingsError."""
    environ = {f"VULNFEEDS_{name.upper()}": str(value) for name, value in tree.items()}
    try:
        assert isinstance(load(None, environ, REGISTRY), Settings)
    except SettingsError as error:
        assert "VULNFEEDS_" in str(error)


@given(st.text())
def test_a_secret_is_equal_to_itself_only(text: str) -> None:
    """Secrets compare by value and hash alike, so that settings can be compared."""
    assert Secret(text) == Secret(text)
    assert hash(Secret(text)) == hash(Secret(text))
    assert Secret(text) != text
    assert bool(Secret(text)) is bool(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://u:p@h/n", "postgresql://u:(hidden)@h/n"),
        ("postgresql://u:p@ss@h:5/n", "postgresql://u:(hidden)@h:5/n"),
        ("postgresql://u@h/n", "postgresql://u@h/n"),
        ("sqlite:////a/b", "sqlite:////a/b"),
        ("http://h:80/a@b", "http://h:80/a@b"),
    ],
)
def test_passwords_in_addresses_are_hidden(text: str, shown: str) -> None:
    """Only the password of an address goes."""
    assert hide_password(text) == shown
