"""Texts made from the declarations: the settings reference, a settings file with every default, the effective values.

The meaning of a setting is the string below its declaration, read from the source, so there is one text of it.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec
from cyclopts import App

from vulnfeeds.config import PREFIX, Registry, Secret, Settings, hide_password
from vulnfeeds.drivers.interface import DriverSettings

_PREAMBLE: Final = """\
# Configuration

This page is made from the declarations in the code: `vulnfeeds config reference > docs/configuration.md`.

Every setting has a default, so a settings file is not needed. Where a value comes from, the later wins:

1. the default;
2. the settings file, in TOML: the one that `--config` or `VULNFEEDS_CONFIG` names, else the first that exists of
   `./vulnfeeds.toml`, `$XDG_CONFIG_HOME/vulnfeeds/vulnfeeds.toml` (`~/.config/...`), `/etc/vulnfeeds/vulnfeeds.toml`;
3. the environment: `VULNFEEDS_` and the name in capitals, `__` between the parts of a nested name
   (`VULNFEEDS_DRIVER__NVDV2__SOURCE`). Lists are separated by commas; tables are `name=value` pairs, by commas too.
   An empty variable counts as not set. What Kubernetes sets for a service named `vulnfeeds` is passed over;
4. the options `--home`, `--store`, `--host` and `--port` of the commands that have them.

A name that means nothing, a value of the wrong type and a value outside its bounds stop the command with exit code 3
and a message that names the file or variable, the setting and, for a name, the nearest known one.
`vulnfeeds config check` does only that; `vulnfeeds config show` prints what holds, `vulnfeeds config defaults` a file
with every default to start from. Secrets are never printed.

"""

_SECTION: Final = {
    "retention": "How long the past is kept.",
    "fetch": "How upstreams are asked. No driver has settings of its own for this.",
}


def meanings(kind: type[Any]) -> dict[str, str]:
    """Return the text below each field's declaration, inherited fields included, as one line each."""
    found: dict[str, str] = {}
    for declared in reversed(kind.__mro__):
        if declared in (object, msgspec.Struct) or not issubclass(declared, msgspec.Struct):
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(declared))).body[0]
        if not isinstance(body, ast.ClassDef):
            continue
        for field, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and (text := _text(below)):
                found[field.target.id] = " ".join(text.split())
    return found


_SELECTION: Final = """
`include`, `exclude` and `rename` work for every driver. What an upstream lists is served as soon as it lists it; a
group that is excluded is not fetched where upstream has a document for it alone. If it was published it is frozen: it
goes on being served as it is, and each task of the driver says so (`left_out`). Patterns go by the names before
`rename`.

```toml
[driver.ubuntu]
include = ["20.04", "2[24].*"]       # with ubuntu:20.04+esm and the like
exclude = ["22.10", "*+esm"]

[driver.debian]
rename = {"unstable" = "sid"}        # records name debian:sid, too; debian:unstable stays as it is
```

A client finds a group by its name: one that looks for `debian:unstable` gets nothing new from `debian:sid`. Two
groups that would have the same name fail the run. Drivers read each other's groups by their usual names, so renaming
`nvdv2:cves` takes the severities of NVD from the others.
"""


def configuration(registry: Registry) -> str:
    """Return the settings reference as Markdown."""
    lines = [_PREAMBLE, "## Top level\n\n", *_table(Settings, ())]
    for name, text in _SECTION.items():
        kind = next(field.type for field in msgspec.structs.fields(Settings) if field.name == name)
        lines += [f"\n## `[{name}]`\n\n{text}\n\n", *_table(kind, (name,))]
    lines += [
        "\n## `[driver.NAME]` for every driver\n\n",
        "Limits of a run, the guards that it must pass before it publishes, and the groups that are served.\n\n",
        *_table(DriverSettings, ("driver", "NAME")),
        _SELECTION,
    ]
    for name, driver in registry.items():
        inherited = {field.name: field.default for field in msgspec.structs.fields(DriverSettings)}
        own = [field for field in msgspec.structs.fields(driver.Settings) if _differs(field, inherited)]
        lines.append(f"\n## `[driver.{name}]`\n\n")
        if own:
            lines += _table(driver.Settings, ("driver", name), only={field.name for field in own})
        else:
            lines.append("No settings beyond those of every driver.\n")
        for field in own:
            if kind := _named_tables(field):
                path = ("driver", name, field.name, "NAME")
                lines += [f"\n### `[{'.'.join(path)}]`\n\n{inspect.getdoc(kind)}\n\n", *_table(kind, path)]
    return "".join(lines)


def defaults(registry: Registry) -> str:
    """Return a settings file in which every setting stands with its default, commented out."""
    lines = ["# Every setting with its default. Take the # away from those to change.\n"]
    tables: list[tuple[str, type[Any]]] = []
    meaning = meanings(Settings)
    for field in msgspec.structs.fields(Settings):
        if isinstance(field.type, type) and issubclass(field.type, msgspec.Struct):
            tables.append((field.name, field.type))
        elif field.name != "driver":
            lines += _entry(field, meaning)
    tables += [(f"driver.{name}", driver.Settings) for name, driver in registry.items()]
    for name, kind in tables:
        lines.append(f"\n# [{name}]\n")
        meaning = meanings(kind)
        for field in msgspec.structs.fields(kind):
            lines += _entry(field, meaning)
    return "".join(lines)


def commands(app: App) -> str:
    """Return the command reference as Markdown."""
    made = "This page is made from the declarations in the code: `vulnfeeds config reference --commands`."
    lines = app.generate_docs(usage_name="vulnfeeds", heading_level=1).splitlines()
    # The usage of the program itself is written or not depending on where this is called from.
    body = lines[lines.index("## Table of Contents") :]
    kept = [line.rstrip() for line in body if "(#vulnfeeds-install-completion)" not in line]
    return "\n".join(["# Commands", "", made, "", *kept]).rstrip() + "\n"


def effective(settings: Settings) -> dict[str, Any]:
    """Return the values that hold, by dotted name, with secrets and passwords hidden."""
    return dict(_flatten(settings, ()))


def _flatten(value: Any, path: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        value = {field.name: getattr(value, field.name) for field in msgspec.structs.fields(value)}
    elif path in {("driver",)}:
        pass
    else:
        yield ".".join(path), _plain(value)
        return
    for name, inner in value.items():
        yield from _flatten(inner, (*path, name))


def _plain(value: Any) -> Any:
    if isinstance(value, Secret | Path):
        return str(value)
    if isinstance(value, str):
        return hide_password(value)
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, msgspec.Struct):
        return _plain(msgspec.structs.asdict(value))
    return value


def _table(kind: type[Any], path: tuple[str, ...], only: set[str] | None = None) -> list[str]:
    meaning = meanings(kind)
    lines = ["| setting | environment | default | meaning |\n|---|---|---|---|\n"]
    for field in msgspec.structs.fields(kind):
        nested = isinstance(field.type, type) and issubclass(field.type, msgspec.Struct)
        if nested or (kind is Settings and field.name == "driver") or (only is not None and field.name not in only):
            continue
        variable = PREFIX + "__".join((*path, field.name)).upper()
        default = f"`{_toml(_default(field))}`"
        lines.append(f"| `{field.name}` | `{variable}` | {default} | {_cell(meaning.get(field.name, ''))} |\n")
    return lines


def _entry(field: msgspec.structs.FieldInfo, meaning: dict[str, str]) -> list[str]:
    comment = textwrap.wrap(meaning.get(field.name, ""), 116, initial_indent="# ", subsequent_indent="# ")
    return ["\n", *(f"{line}\n" for line in comment), f"# {field.encode_name} = {_toml(_default(field))}\n"]


def _differs(field: msgspec.structs.FieldInfo, inherited: dict[str, Any]) -> bool:
    return field.name not in inherited or field.default != inherited[field.name]


def _named_tables(field: msgspec.structs.FieldInfo) -> type[msgspec.Struct] | None:
    """Return the form of the tables of a setting that holds tables by the operator's own names, else None."""
    inner = get_args(field.type)[1:] if get_origin(field.type) is dict else ()
    return inner[0] if inner and isinstance(inner[0], type) and issubclass(inner[0], msgspec.Struct) else None


def _default(field: msgspec.structs.FieldInfo) -> Any:
    if field.default is not msgspec.NODEFAULT:
        return field.default
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else ""


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Path | Secret):
        return '""'
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(name)} = {_toml(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list | tuple | set | frozenset):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _text(node: ast.stmt) -> str:
    """Return the text that a statement consists of, "" when it is no bare text."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return node.value.value
    return ""
