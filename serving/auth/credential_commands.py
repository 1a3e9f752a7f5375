"""`okr api-key`, `okr auth` and `okr audit`: API keys, the keys that sign access tokens, and the audit log."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from lakehouse.contracts.allowed_characters import printable
from lakehouse.errors import PermanentError
from serving.auth.command_context import actor, auth_services

api_keys = typer.Typer(no_args_is_help=True, help="Manage API keys.")
auth = typer.Typer(no_args_is_help=True, help="Manage the keys that sign access tokens.")
audit = typer.Typer(no_args_is_help=True, help="List the events of the audit log, and check that it was not changed.")

Username = Annotated[str, typer.Argument(help="The user name.")]
Prefix = Annotated[str, typer.Argument(help="The key's prefix, as shown by `okr api-key list`.")]


@api_keys.command("add")
def add_key(
    username: Username,
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[list[str], typer.Option(help="A right that the key may use, e.g. predict. Can be repeated.")],
    days: Annotated[
        int | None, typer.Option(min=1, help="Days until the key expires. Without this option, it never expires.")
    ] = None,
) -> None:
    """Create an API key for an account and print it once."""
    expires_at = datetime.now(UTC) + timedelta(days=days) if days else None
    with auth_services() as (services, _):
        new = services.api_keys.add(username, name, scope, actor(), expires_at)
    typer.echo(new.text)


@api_keys.command("list")
def list_keys(username: Annotated[str | None, typer.Option(help="Only the keys of this account.")] = None) -> None:
    """List API keys, newest first."""
    with auth_services() as (services, _):
        for key in services.api_keys.listed(username):
            state = "revoked" if key.revoked_at else f"until {key.expires_at or 'revoked'}"
            used = f"used {key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never used"
            typer.echo(f"{key.prefix}\t{key.username}\t{printable(key.name)}\t{','.join(key.scopes)}\t{state}\t{used}")


@api_keys.command("revoke")
def revoke_key(prefix: Prefix) -> None:
    """Revoke an API key. Every worker rejects it within 2 seconds."""
    with auth_services() as (services, _):
        services.api_keys.revoke(prefix, actor())
    typer.echo(f"Revoked the API key {prefix}.")


@api_keys.command("rotate")
def rotate_key(
    prefix: Prefix,
    overlap_hours: Annotated[int, typer.Option(min=0, help="Hours for which the old key stays valid.")] = 24,
) -> None:
    """Replace an API key with a new one that has the same scopes, and print the new one once."""
    with auth_services() as (services, _):
        new = services.api_keys.rotate(prefix, actor(), timedelta(hours=overlap_hours))
    typer.echo(new.text)


@auth.command("list-keys")
def list_signing_keys() -> None:
    """List the keys whose access tokens are accepted, newest first."""
    with auth_services() as (services, _):
        for key in services.signing_keys.listed():
            until = f"until {key.verifies_until:%Y-%m-%d %H:%M:%S}" if key.verifies_until else "until it is replaced"
            typer.echo(f"{key.kid}\tsigns from {key.signs_from:%Y-%m-%d %H:%M:%S}\taccepted {until}")


@auth.command("rotate-keys")
def rotate_keys() -> None:
    """Create a new key, which starts signing access tokens a minute later. No one is logged out."""
    with auth_services() as (services, _):
        key = services.key_rotation.rotate(actor()).key
    typer.echo(f"The key {key.kid} signs from {key.signs_from:%Y-%m-%d %H:%M:%S} UTC.")


@audit.command("list")
def list_audit_events(
    subject: Annotated[str | None, typer.Option(help="Only events about this subject, e.g. a user name.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="Maximum number of events.")] = 100,
) -> None:
    """List the events of the audit log, newest first."""
    import json

    from serving.admin.audit_log.service import AuditEvents

    with auth_services() as (_, warehouse):
        for row in AuditEvents(warehouse).page(limit, None, subject=subject).items:
            at = f"{row['occurred_at']:%Y-%m-%d %H:%M:%S}"
            columns = (row["event_id"], at, *(row[name] for name in ("actor", "action", "subject", "outcome")))
            typer.echo("\t".join(printable(str(each)) for each in (*columns, json.dumps(row["details"]))))


@audit.command("verify")
def verify_audit(
    expect_id: Annotated[
        int, typer.Option(min=0, help="Id of an event that the log must contain (with --expect-hash).")
    ] = 0,
    expect_hash: Annotated[
        str, typer.Option(help="Hash of that event, as printed by an earlier run of this command.")
    ] = "",
    earlier_secrets: Annotated[
        typer.FileText | None,
        typer.Option(help="A file with earlier values of OKR_JWT_SECRET, one per line, with which events were sealed."),
    ] = None,
    accept_key: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of an earlier sealing key whose secret is lost; its seals are not verified. Can be repeated."
        ),
    ] = None,
) -> None:
    """Check that no row of the audit log was changed, removed or inserted."""
    from serving.auth.audit_verification import verify
    from serving.auth.auth_services import audit_chain

    secrets = [line.strip() for line in earlier_secrets or () if line.strip()]
    with auth_services() as (services, warehouse):
        report = verify(
            warehouse, services.chain, earlier=[audit_chain(secret) for secret in secrets], accepted=accept_key or (),
            expected_id=expect_id, expected_hash=expect_hash,
        )  # fmt: skip
    typer.echo(f"{report.events} events; the newest is {report.newest_id} with the hash {report.newest_hash}")
    typer.echo(f"Events are now sealed with the key {services.chain.key_id}; note it before you change OKR_JWT_SECRET.")
    if report.not_verified:
        typer.echo(f"The seals of {report.not_verified} events cannot be verified without the secrets of their keys.")
    if report.problems:
        raise PermanentError(
            "The audit log was changed, or has events of an earlier OKR_JWT_SECRET that neither --earlier-secrets nor "
            f"--accept-key names: {' '.join(report.problems[:20])}"
        )
