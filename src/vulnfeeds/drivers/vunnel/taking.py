"""Brings the results of a source into our own folder, verified, whichever way the settings say they come.

    workspace/NAME/taken/           a workspace as in workspace.py, copied or unpacked; taken.json says of what
    workspace/NAME/data/NAME/       the workspace of a program, which is read in place

What lies in `taken` was verified when it was put there, so what happens to the original later does not matter.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec
import yaml

from vulnfeeds.drivers.interface import Context
from vulnfeeds.drivers.sources import Taken
from vulnfeeds.drivers.vunnel import archive, program
from vulnfeeds.drivers.vunnel.settings import SourceSettings
from vulnfeeds.drivers.vunnel.workspace import METADATA, Workspace, same
from vulnfeeds.errors import ParseError, UpstreamError

TAKEN: Final = "taken"
_NOTE: Final = "taken.json"
_COMING: Final = "coming"


def take(context: Context, name: str, source: SourceSettings) -> Taken:
    """Bring the results of a source. Raises UpstreamError or ParseError, and leaves what was taken before."""
    folder = context.workspace / name
    folder.mkdir(parents=True, exist_ok=True)
    if source.program:
        taken = _run(context, folder, name, source)
    elif source.workspace:
        taken = _copy(folder, name, Path(source.workspace))
    else:
        taken = _unpack(context, folder, name, source)
    Workspace(taken.path, name, name).refuse_stale(context.now(), source.max_age_days)
    return taken


# --- a program --------------------------------------------------------------------------------------------------


def _run(context: Context, folder: Path, name: str, source: SourceSettings) -> Taken:
    missing = [secret for secret in source.secrets if secret not in context.secrets]
    if missing:
        raise ParseError(f"driver.vunnel.sources.{name}.secrets", f"{missing[0]} is not set")
    root, temporary, settings = folder / "data", folder / "tmp", folder / "settings.yaml"
    for made in (root, temporary):
        made.mkdir(exist_ok=True)
    settings.write_text(yaml.safe_dump({**_config(source, name), "root": str(root.resolve())}), "utf-8")
    secrets: dict[str, str] = {secret: context.secrets[secret] for secret in source.secrets}
    environment = {"PATH": program.PATH, "HOME": str(folder.resolve()), "LANG": "C.UTF-8"}
    command = (source.program, *source.arguments, "-c", str(settings.resolve()), "run", name)
    before = _mark(_made(root, name), name)
    program.run(
        program.Call(
            name=f"program {source.program} for {name}",
            command=command,
            folder=folder,
            environment={**environment, "TMPDIR": str(temporary.resolve()), **source.environment, **secrets},
            seconds=source.seconds,
            hidden=list(secrets.values()),
        )
    )
    made = _made(root, name)
    if not (made / METADATA).is_file():
        raise UpstreamError(
            f"program {source.program} for {name}",
            f"ended well and left no workspace: no data/{made.name}/{METADATA}",
        )
    workspace = Workspace(made, name, name)
    workspace.verify()
    if workspace.mark == before:
        context.note(f"{name}: the program left its results as they were")
    return Taken(made, workspace.mark)


def _config(source: SourceSettings, name: str) -> dict[str, Any]:
    """Return vunnel's settings that the operator gives. Raises ParseError for a file that is none."""
    if not source.config:
        return {}
    place = f"driver.vunnel.sources.{name}.config"
    try:
        found = yaml.safe_load(Path(source.config).read_text("utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ParseError(place, f"{source.config}: {getattr(error, 'strerror', None) or error}") from error
    if not isinstance(found, dict):
        raise ParseError(place, f"{source.config}: is no table of settings")
    return found


def _made(root: Path, name: str) -> Path:
    """Return the workspace of a source below vunnel's root, which may write its name with "-" or "_"."""
    return next((path for path in sorted(root.iterdir()) if same(path.name) == same(name)), root / name)


def _mark(folder: Path, name: str) -> str:
    """Return the mark of the workspace that is there before a run, "" when there is none that can be used."""
    try:
        return Workspace(folder, name, name).mark
    except ParseError:
        return ""


# --- what others left ---------------------------------------------------------------------------------------------


def _copy(folder: Path, name: str, given: Path) -> Taken:
    if not (given / METADATA).is_file():
        raise ParseError(f"driver.vunnel.sources.{name}.workspace", f"{given}: holds no {METADATA}")
    original = Workspace(given, name, name)
    original.verify_listing()

    def fill(target: Path) -> None:
        for path in (METADATA, original.listing.path, *(path for path, _ in original.listed())):
            copy = target / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                shutil.copyfile(original.path(path), copy)
            except OSError as error:
                raise ParseError(f"{name}/{path}", f"cannot be copied: {error.strerror}") from error

    # The time of making is in the metadata: results that were made anew and are the same are taken anew.
    return _taken(folder, name, f"{original.mark} {original.state.timestamp.isoformat()}", fill)


def _unpack(context: Context, folder: Path, name: str, source: SourceSettings) -> Taken:
    try:
        brought = archive.bring(context, folder, name, source)
        return _taken(folder, name, brought.sha256, lambda target: archive.unpack(brought, target), brought.enclosed)
    except (UpstreamError, ParseError):
        # Other sources may go on, and then nobody else forgets what could not be read.
        archive.distrust(folder)
        raise


def _taken(folder: Path, name: str, of: str, fill: Callable[[Path], None], enclosed: str = "") -> Taken:
    """Return what is taken of `of`, filled and verified unless it is there already."""
    taken, note, coming = folder / TAKEN, folder / _NOTE, folder / _COMING
    if not (note.is_file() and taken.is_dir() and note.read_bytes() == msgspec.json.encode(of)):
        shutil.rmtree(coming, ignore_errors=True)
        coming.mkdir()
        try:
            fill(coming)
            fresh = Workspace(coming, name, name)
            said = f"{fresh.listing.algorithm}:{fresh.listing.digest}"
            if enclosed and enclosed != said:
                raise ParseError(archive.LISTING, f"says that the archive holds {enclosed[:80]!r}, it holds {said!r}")
            fresh.verify()
        except BaseException:
            shutil.rmtree(coming, ignore_errors=True)
            raise
        note.unlink(missing_ok=True)
        shutil.rmtree(taken, ignore_errors=True)
        coming.rename(taken)
        note.write_bytes(msgspec.json.encode(of))
    return Taken(taken, Workspace(taken, name, name).mark)
