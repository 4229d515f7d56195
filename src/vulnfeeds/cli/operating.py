"""Commands of the operator: the settings, and what is in quarantine."""

from __future__ import annotations

from typing import Annotated

import msgspec
from cyclopts import Parameter

from vulnfeeds.cli import reference as texts
from vulnfeeds.cli.compose import open_reader, open_writer, read_settings, settings_file
from vulnfeeds.cli.options import Options, Output
from vulnfeeds.cli.terminal import Terminal
from vulnfeeds.config import hide_password
from vulnfeeds.drivers.registry import load_drivers
from vulnfeeds.errors import BadRequestError, NotFoundError
from vulnfeeds.sync import quarantine

_OUTPUT = Output()
_OPTIONS = Options()


def show(*, output: Output = _OUTPUT) -> None:
    """Show the values that hold, from file, environment and options; secrets hidden."""
    settings, _ = read_settings(output)
    Terminal(as_json=output.json).facts(texts.effective(settings))


def check(*, options: Options = _OPTIONS) -> None:
    """Say whether the settings make sense, without opening the store."""
    settings, _ = read_settings(options)
    file = settings_file(options)
    terminal = Terminal()
    terminal.text(f"settings are fine: {file or 'no settings file, defaults and environment'}")
    terminal.text(f"store {hide_password(settings.store_url)}, drivers {', '.join(settings.drivers) or 'none'}")


def defaults() -> None:
    """Write a settings file with every setting, its meaning and its default."""
    Terminal().text(texts.defaults(load_drivers()))


def list_quarantined(
    *,
    driver: Annotated[str | None, Parameter(help="Only what this driver's runs left.")] = None,
    output: Output = _OUTPUT,
) -> None:
    """List the records and runs in quarantine, newest first."""
    with open_reader(output) as store:
        found = store.quarantined(driver=driver)
    rows = [msgspec.structs.asdict(row) for row in found]
    for row in rows:
        row.pop("body")
    Terminal(as_json=output.json).rows(
        {
            "id": "ID",
            "kind": "KIND",
            "driver": "DRIVER",
            "task_id": "TASK",
            "created_at": "SINCE",
            "group": "GROUP",
            "key": "KEY",
            "reason": "REASON",
        },
        rows,
        nothing="nothing is in quarantine",
    )


def show_quarantined(number: int, /, *, output: Output = _OUTPUT) -> None:
    """Show one thing in quarantine with its content.

    Parameters
    ----------
    number
        Its ID in `vulnfeeds quarantine list`.
    """
    with open_reader(output) as store:
        found = next(iter(store.quarantined(id=number)), None)
    if found is None:
        raise NotFoundError(f"nothing in quarantine has the id {number}")
    facts = msgspec.structs.asdict(found)
    body = facts.pop("body") or b"null"
    content = _content(body)
    terminal = Terminal(as_json=output.json)
    if terminal.as_json:
        terminal.facts({**facts, "body": content})
        return
    terminal.facts(facts)
    terminal.text(msgspec.json.format(msgspec.json.encode(content), indent=2).decode())


def accept(number: int, /, *, output: Output = _OUTPUT) -> None:
    """Publish a run that the guards held back, or a record that is good by now.

    Parameters
    ----------
    number
        Its ID in `vulnfeeds quarantine list`.
    """
    settings, _ = read_settings(output)
    with open_writer(settings) as store:
        accepted = quarantine.accept(store, number, settings.home)
    Terminal(as_json=output.json).facts({"task_id": accepted.task_id, "changes": accepted.changes})


def drop(*numbers: int, output: Output = _OUTPUT) -> None:
    """Throw things in quarantine away; what is published stays.

    Parameters
    ----------
    numbers
        Their IDs in `vulnfeeds quarantine list`.
    """
    if not numbers:
        raise BadRequestError("name the IDs to drop, as `vulnfeeds quarantine list` shows them")
    settings, _ = read_settings(output)
    with open_writer(settings) as store:
        for number in numbers:
            quarantine.drop(store, number, settings.home)
    Terminal(as_json=output.json).facts({"dropped": list(numbers)})


def _content(body: bytes) -> object:
    """Return what a quarantined body holds; text when it could not be written as JSON."""
    try:
        found: object = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body.decode("utf-8", errors="replace")
    return found
