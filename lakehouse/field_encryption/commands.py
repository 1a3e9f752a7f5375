"""`okr keys`: the keys with which the personal fields of each person are encrypted."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from lakehouse.errors import NotPossible

SHOWN_KEYS = 20
app = typer.Typer(no_args_is_help=True, help="Show, rotate and destroy the keys that encrypt personal fields.")

Persons = Annotated[list[str] | None, typer.Option("--person", help="User id. Repeat it for several.")]
KeyResults = Annotated[
    list[str] | None, typer.Option("--key-result", help="Erase the notes of this key result that carry no user id.")
]
Objectives = Annotated[
    list[str] | None,
    typer.Option("--objective", help="Erase the archiving reasons of this objective that carry no user id."),
]
Months = Annotated[
    list[str] | None, typer.Option("--rejected", help="Erase the rejected messages of this month (2026-11).")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")]


@app.command()
def status(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the numbers of keys. Exits with status 1 if the key file lacks a key-encryption key that is in use."""
    from lakehouse.field_encryption.count_keys import key_counts
    from lakehouse.field_encryption.key_file import KeyFile, unknown_key
    from lakehouse.settings import load_settings

    settings = load_settings()
    text = settings.field_encryption_key.get_secret_value()
    key_file = KeyFile(text) if text else None
    counts = key_counts(settings.require("dsn_loader"))
    known = set(key_file.ids) if key_file else set()
    if as_json:
        current = key_file.current_id if key_file else None
        typer.echo(json.dumps({"current": current, "keys": [asdict(each) for each in counts]}, default=str))
    else:
        for each in counts:
            wrapped = "destroyed" if each.kek_id is None else each.kek_id
            note = "" if each.kek_id is None else _note(each.kek_id, known, key_file.current_id if key_file else "")
            typer.echo(f"{each.kind:<12} {each.keys:>9,}  {wrapped:<12}  {each.newest_at:%Y-%m-%d %H:%M}{note}")
        if not counts:
            typer.echo("There are no keys." if key_file else "There are no keys: personal fields are not encrypted.")
    missing = sorted({each.kek_id for each in counts if each.kek_id is not None} - known)
    if missing and key_file:
        raise NotPossible(unknown_key(missing[0], key_file))
    if missing:
        raise NotPossible(
            f"There is no key file (OKR_FIELD_ENCRYPTION_KEY), although keys are wrapped with {', '.join(missing)}. "
            "Restore the file from its copy: without it, the personal fields cannot be read."
        )


@app.command()
def rotate() -> None:
    """Wrap all keys with the first key of the key file. Encrypted values do not change; consumers may keep running."""
    from lakehouse.field_encryption import rotate_keys
    from lakehouse.field_encryption.key_file import KeyFile
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings

    settings = load_settings()
    key_file = KeyFile(settings.require("field_encryption_key"))
    with recorded("field_keys.rotated", key_file.current_id) as details:
        found = rotate_keys.rotate(settings.require("dsn_owner"), key_file)
        details |= {"keys": found.rotated, "damaged": len(found.damaged)}
    typer.echo(f"{found.rotated:,} keys were wrapped with {key_file.current_id}.")
    if found.damaged:
        named = ", ".join(f"{key_id} ({owner})" for key_id, owner in found.damaged[:SHOWN_KEYS])
        more = len(found.damaged) - SHOWN_KEYS
        raise NotPossible(
            f"{len(found.damaged)} damaged keys cannot be unwrapped: {named}{f' and {more} more' if more > 0 else ''}. "
            "Restore these rows of app.data_key from a backup and repeat the command, or destroy them (`okr keys "
            "destroy`)."
        )
    typer.echo("All keys now need only this line of the key file.")


@app.command()
def destroy(
    person: Persons = None,
    key_result: KeyResults = None,
    objective: Objectives = None,
    rejected: Months = None,
    yes: Yes = False,
) -> None:
    """Destroy keys, so that what they encrypted can no longer be read. This cannot be undone."""
    from lakehouse.field_encryption import destroy_keys
    from lakehouse.operator_actions import recorded
    from lakehouse.settings import load_settings

    named = {"user": person, "key_result": key_result, "objective": objective, "rejected": rejected}
    owners = [f"{kind}:{each}" for kind, ids in named.items() for each in ids or ()]
    if not owners:
        raise NotPossible("Nothing was named. Expected --person, --key-result, --objective or --rejected.")
    if not yes:
        typer.confirm(f"Destroy the keys of {', '.join(owners)}? Their values can never be read again.", abort=True)
    with recorded("field_keys.destroyed", owners[0] if len(owners) == 1 else "field keys") as details:
        details["owners"] = owners
        count = destroy_keys.destroy(load_settings().require("dsn_owner"), owners)
    typer.echo(f"{count} keys were destroyed, {len(set(owners)) - count} had been destroyed before.")


def _note(kek_id: str, known: set[str], current: str) -> str:
    if kek_id not in known:
        return "  not in the key file"
    return "  current" if kek_id == current else "  `okr keys rotate` replaces it"
