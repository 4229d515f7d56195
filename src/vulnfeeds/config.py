"""Settings: declared once, read from one TOML file and the environment, checked whole before anything starts.

Order, the later wins: defaults, the settings file, the environment, the command line. A name that means nothing is an
error that says where it stands and which known name is nearest. Nothing below `cli` reads the environment; what other
parts need is passed to them. The reference in docs/configuration.md is made from the declarations here.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args, get_origin, get_type_hints

import msgspec

from vulnfeeds.drivers.interface import Driver, DriverSettings
from vulnfeeds.errors import SettingsError
from vulnfeeds.fetch.settings import FetchSettings

PREFIX: Final = "VULNFEEDS_"
"""What the names of our environment variables begin with."""
FILE_VARIABLE: Final = "VULNFEEDS_CONFIG"
"""The variable that names the settings file."""
FILE_NAME: Final = "vulnfeeds.toml"

_PLAIN: Final = {"NVD_API_KEY": "nvd_api_key", "GITHUB_TOKEN": "github_token"}
_OTHERS: Final = frozenset({FILE_VARIABLE, "VULNFEEDS_SHARED", "VULNFEEDS_TEST_POSTGRES"})
# Kubernetes gives every container variables about a service named vulnfeeds: VULNFEEDS_PORT=tcp://10.0.0.7:8228, ...
_KUBERNETES_NAME = re.compile(r"VULNFEEDS_(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP)(_\w+)?)")
_KUBERNETES_VALUE = re.compile(r"(tcp|udp)://\S+:\d+")

Positive = Annotated[int, msgspec.Meta(gt=0)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]


class Secret:
    """A text that never shows itself: not in repr, str, tables or JSON. Empty means "none"."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text; only for the place that sends it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(hidden)" if self._text else "Secret()"

    def __str__(self) -> str:
        return "(hidden)" if self._text else ""


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the past is kept. Current records stay for ever."""

    generations_hours: Positive = 24
    """Hours for which a walk that began on an earlier generation still sees exactly that generation."""
    versions_days: Positive = 90
    """Days for which replaced versions of records stay readable (history, states of the past)."""
    tasks_days: Positive = 400
    """Days for which closed tasks stay listed."""


class GrypeDBSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The database that grype downloads, built from the store after each cycle."""

    enabled: bool = False
    """Build it when records changed, and at least daily."""
    channels: bool = True
    """Add the rows of Ubuntu's ESM and RHEL's EUS. Clients before grype 0.97 cannot open a database that has them."""
    old: bool = False
    """Build one of schema 3 as well, for Anchore Engine 1.1 and grype before 0.40."""
    deadline_seconds: Annotated[float, msgspec.Meta(gt=0)] = 7200.0
    """A build that takes longer is ended and its task failed."""
    memory_mb: Positive = 2048
    """A build that needs more memory is ended and its task failed."""
    max_shrink: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.2
    """Largest part by which the rows of an origin or ecosystem may become fewer from one build to the next; counts
    above 50 only."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of one process."""

    home: Path = Path()
    """Data folder: the embedded store, workspaces, pages and what is in quarantine. When it is not given:
    `$XDG_DATA_HOME/vulnfeeds`, else `~/.local/share/vulnfeeds`, else (no home folder, as in many containers)
    `/var/lib/vulnfeeds`."""
    store: str = ""
    """Where the records are: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`. Empty: a SQLite file in the
    data folder."""
    host: str = "0.0.0.0"  # noqa: S104 - a service for other machines; docs/adr/0007-bind-address.md
    """Address to listen on. The default is every IPv4 interface, because clients are other machines; `127.0.0.1`
    keeps the service to this one."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8228
    """Port to listen on; 0 takes a free one and the log names it."""
    driver_sync: Positive = 7200
    """Seconds between the starts of two cycles."""
    api_only: bool = False
    """Serve what the store holds and run no driver, as `vulnfeeds serve` does."""
    workers: Positive = 3
    """How many drivers run at the same time, each in a process of its own."""
    drivers: tuple[str, ...] = ()
    """Names of the drivers that are on. Empty: those that are on by default (`vulnfeeds drivers` shows them)."""
    upstream_mirror: str = ""
    """Where to ask instead of all upstreams: an http or https address or a folder. `https://HOST/PATH` becomes
    `MIRROR/HOST/PATH`. Empty: the upstreams themselves."""
    upstreams: dict[str, str] = {}
    """A mirror by host; wins over `upstream_mirror` for that host. The value `direct` asks the host itself."""
    severity_source: Literal["newest", "cvss2", "none"] = "newest"
    """What a distribution's record shows as severity when the vendor gives none: the band of NVD's newest CVSS
    (4, 3, 2), the band of its CVSS 2 as the original service did, or nothing."""
    since_margin_seconds: NotNegative = 7200
    """Seconds by which a client's `since` is taken to be earlier than it says, so that a client whose clock is ahead
    loses nothing; what is sent twice does no harm."""
    dependency_patience_seconds: NotNegative = 1800
    """How long in a cycle a driver waits for a driver whose records it uses; after that it goes on with what the
    store holds."""
    pages_max_mb: NotNegative = 0
    """Most MiB of rendered pages to keep in the data folder; those made first go first. 0: no limit."""
    client_patience_seconds: Positive = 30
    """Seconds that a client may take to send a request, or to take 1 KiB a second of an answer on average."""
    answers_memory_mb: NotNegative = 64
    """Most MiB of ready pages and changes to keep in memory; those used longest ago go first. 0: none."""
    profile: Literal["", "grype"] = ""
    """A purpose that presets other settings; what is set by name wins. `grype`: build the Grype database, and turn on
    the drivers that it takes records from and no other."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important log lines that are written."""
    nvd_api_key: Secret = Secret()
    """Key for NVD's API: faster, never required. Also read from `NVD_API_KEY`."""
    github_token: Secret = Secret()
    """Token for GitHub's API. Also read from `GITHUB_TOKEN`."""
    retention: RetentionSettings = RetentionSettings()
    """How long the past is kept."""
    grypedb: GrypeDBSettings = GrypeDBSettings()
    """The database that grype downloads."""
    external_url: str = ""
    """Address under which clients reach this service, for links in listings (`https://feeds.example`). Empty: the one
    that a request names as its host."""
    fetch: FetchSettings = FetchSettings()
    """How upstreams are asked: limits, retries, pacing."""
    driver: dict[str, DriverSettings] = {}
    """Settings of each driver, by its name."""

    @property
    def store_url(self) -> str:
        """Return the store's address, the default one spelled out."""
        return self.store or f"sqlite:///{self.home / 'vulnfeeds.sqlite'}"

    @property
    def secrets(self) -> dict[str, str]:
        """Return the tokens that are set, by the names under which drivers ask for them."""
        held = {name: getattr(self, field) for name, field in _PLAIN.items()}
        return {name: secret.reveal() for name, secret in held.items() if secret}


Registry = Mapping[str, type[Driver]]
"""The drivers that there are, by name."""
Tree = dict[str, Any]
Key = tuple[str, ...]

_GRYPE_FEEDS: Final = frozenset({"vulnerabilities", "nvdv2", "github", "kev", "epss", "eol", "microsoft"})


def _grype(registry: Registry) -> Tree:
    wanted = [name for name, each in registry.items() if each.default_on and _GRYPE_FEEDS.intersection(each.feeds)]
    return {"drivers": wanted, "grypedb": {"enabled": True}}


PROFILES: Final[dict[str, Callable[[Registry], Tree]]] = {"grype": _grype}
"""What each profile presets, by the drivers that there are."""


def load(
    path: Path | None,
    environ: Mapping[str, str],
    registry: Registry,
    flags: Mapping[str, Any] | None = None,
) -> Settings:
    """Return the settings of this process, checked whole.

    `path` None looks for the file (`find_file`); `flags` are values of top-level names from the command line, None
    for those not given. Raises SettingsError for a file that cannot be read or understood, an unknown name, a value
    of the wrong type or outside its bounds, and a driver that does not exist.
    """
    file = path if path is not None else find_file(environ)
    tree = _read(file) if file is not None else {}
    reader = _Reader(registry, str(file) if file is not None else "", environ)
    reader.add_environment(tree)
    for name, value in (flags or {}).items():
        if value is not None:
            reader.put(tree, (name,), value, f"the option --{name.replace('_', '-')}")
    return reader.settings(tree)


def find_file(environ: Mapping[str, str]) -> Path | None:
    """Return the settings file: the one that VULNFEEDS_CONFIG names, else the first of the usual ones that exists."""
    if named := environ.get(FILE_VARIABLE):
        return Path(named)
    places = [Path(FILE_NAME)]
    if folder := environ.get("XDG_CONFIG_HOME") or (environ.get("HOME") and f"{environ['HOME']}/.config"):
        places.append(Path(folder) / "vulnfeeds" / FILE_NAME)
    places.append(Path("/etc/vulnfeeds") / FILE_NAME)
    return next((place for place in places if place.is_file()), None)


def default_home(environ: Mapping[str, str]) -> Path:
    """Return the data folder that is used when none is given."""
    if data := environ.get("XDG_DATA_HOME"):
        return Path(data) / "vulnfeeds"
    if (home := environ.get("HOME", "/")) != "/":
        return Path(home) / ".local" / "share" / "vulnfeeds"
    return Path("/var/lib/vulnfeeds")


def hide_password(text: str) -> str:
    """Return a URL with the password in it, if any, replaced; other text as it is."""
    return re.sub(r"(://[^/@:\s]*):[^/\s]*@", r"\1:(hidden)@", text)


def _read(path: Path) -> Tree:
    try:
        with path.open("rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path}: not UTF-8 at byte {error.start}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path}: not valid TOML: {error}") from error


class _Reader:
    """Lays the sources over each other and turns the result into Settings; remembers where each value came from."""

    def __init__(self, registry: Registry, file: str, environ: Mapping[str, str]) -> None:
        self._registry = registry
        self._file = file
        self._environ = environ
        self._origins: dict[Key, str] = {}

    def add_environment(self, tree: Tree) -> None:
        """Lay the environment over the tree; an empty variable counts as not set."""
        for variable, field in _PLAIN.items():
            if value := self._environ.get(variable):
                self.put(tree, (field,), value, variable)
        for variable, value in sorted(self._environ.items()):
            if not variable.startswith(PREFIX) or not value or variable in _OTHERS:
                continue
            if _KUBERNETES_NAME.fullmatch(variable) or _KUBERNETES_VALUE.fullmatch(value):
                continue
            path = tuple(variable.removeprefix(PREFIX).lower().split("__"))
            self.put(tree, path, _from_text(self._type_of(path), value), variable)

    def put(self, tree: Tree, path: Key, value: Any, origin: str) -> None:
        """Set one value in the tree and remember its origin."""
        for depth, name in enumerate(path[:-1], 1):
            tree = tree.setdefault(name, {})
            if not isinstance(tree, dict):
                raise SettingsError(f"{self._where(path[:depth])} is a table, not a single value")
        tree[path[-1]] = value
        self._origins[path] = origin

    def settings(self, tree: Tree) -> Settings:
        """Return the checked settings."""
        sections = tree.pop("driver", {})
        settings: Settings = self._struct(Settings, tree, ())
        if settings.profile:
            self._preset(tree, PROFILES[settings.profile](self._registry))
            settings = self._struct(Settings, tree, ())
        driver = self._driver_sections(sections)
        home = _expand(settings.home, self._environ) if settings.home.parts else default_home(self._environ)
        return msgspec.structs.replace(settings, home=home, drivers=self._enabled(settings.drivers), driver=driver)

    def _preset(self, tree: Tree, presets: Tree) -> None:
        for name, value in presets.items():
            if isinstance(value, dict):
                self._preset(tree.setdefault(name, {}), value)
            else:
                tree.setdefault(name, value)

    def _struct(self, kind: type[Any], table: Any, path: Key) -> Any:
        if not isinstance(table, dict):
            raise SettingsError(f"{self._where(path)} is a table, not a single value")
        hints = _hints(kind)
        values: Tree = {}
        for name, value in table.items():
            place = (*path, name)
            if name not in hints:
                raise SettingsError(f"{self._where(place)} is not a setting{_nearest(name, hints)}")
            values[name] = self._value(hints[name], value, place)
        try:
            return kind(**values)
        except (ValueError, TypeError, SettingsError) as error:
            raise SettingsError(f"{self._where(path)}: {error}") from error

    def _value(self, kind: Any, value: Any, path: Key) -> Any:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            return self._struct(kind, value, path)
        try:
            said = any(place[: len(path)] == path for place in self._origins)
            return msgspec.convert(value, kind, strict=not said, dec_hook=_decode)
        except msgspec.ValidationError as error:
            raise SettingsError(f"{self._where(path)}: {_refusal(kind, value, error)}") from error

    def _driver_sections(self, sections: Any) -> dict[str, DriverSettings]:
        if not isinstance(sections, dict):
            raise SettingsError(f"{self._where(('driver',))} is a table, not a single value")
        for name in sections:
            if name not in self._registry:
                raise SettingsError(
                    f"{self._where(('driver', name))}: no such driver{_nearest(name, self._registry)}"
                )
        return {
            name: self._struct(driver.Settings, sections.get(name, {}), ("driver", name))
            for name, driver in self._registry.items()
        }

    def _enabled(self, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if name not in self._registry:
                raise SettingsError(
                    f"{self._where(('drivers',))}: no driver {name!r}{_nearest(name, self._registry)}"
                )
        chosen = set(names)
        return tuple(
            name for name, driver in self._registry.items() if (name in chosen if chosen else driver.default_on)
        )

    def _type_of(self, path: Key) -> Any:
        """Return the declared type at a path, None when there is none (which the check then reports)."""
        kind: Any = Settings
        if len(path) > 1 and path[0] == "driver":
            if path[1] not in self._registry:
                return None
            kind, path = self._registry[path[1]].Settings, path[2:]
        for name in path:
            if get_origin(kind) is dict:
                # A table whose names are the operator's, such as the sources of driver vunnel.
                kind = get_args(kind)[1]
                continue
            if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
                return None
            kind = _hints(kind).get(name)
        return kind

    def _where(self, path: Key) -> str:
        origin = self._origins.get(path)
        key = ".".join(path)
        if origin is None:
            below = [name for place, name in self._origins.items() if place[: len(path)] == path]
            origin = self._file or next(iter(below), "settings")
        return f"{origin}: {key}" if key else origin


def _hints(kind: type[Any]) -> dict[str, Any]:
    """Return the declared types of a struct's fields, annotations resolved."""
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(kind)}


def _from_text(kind: Any, text: str) -> Any:
    """Return a variable's text in the shape that its type needs: lists by comma, tables as name=value by comma."""
    origin = get_origin(kind)
    if origin is Annotated:
        kind = get_args(kind)[0]
        origin = get_origin(kind)
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if origin in (tuple, list, set, frozenset):
        return parts
    if origin is dict:
        return {name.strip(): value.strip() for name, _, value in (part.partition("=") for part in parts)}
    return text


def _decode(kind: type[Any], value: Any) -> Any:
    """Make the types that the TOML file cannot hold."""
    if not isinstance(value, str | Path):
        raise TypeError("Expected `str`")
    return kind(value)


def _expand(home: Path, environ: Mapping[str, str]) -> Path:
    parts = home.parts
    if parts and parts[0] == "~" and environ.get("HOME"):
        home = Path(environ["HOME"], *parts[1:])
    return home.absolute()


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {found[0]!r}?" if found else f"; known are {', '.join(sorted(known))}"


def _refusal(kind: Any, value: Any, error: msgspec.ValidationError) -> str:
    """Say what was expected and, unless it is a secret, what was given."""
    if kind is Secret:
        return "expected a text"
    shown = hide_password(repr(value))[:200]
    if get_origin(kind) is Literal:
        return f"expected one of {', '.join(map(repr, get_args(kind)))}, got {shown}"
    if isinstance(value, dict) and get_origin(kind) is dict:
        # The error names the place in the table; the table may hold what must not show.
        return f"{str(error)[:1].lower()}{str(error)[1:]}"
    wanted = re.sub(r", got `[^`]*`", "", str(error))
    return f"{wanted[:1].lower()}{wanted[1:]}, got {shown}"
