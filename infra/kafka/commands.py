"""`okr kafka`: topics, users and their rights. Run it as a superuser (OKR_KAFKA_USER, OKR_KAFKA_PASSWORD_FILE)."""

import sys
from collections.abc import Iterable
from typing import Annotated

import typer

from infra.kafka.rights import RIGHTS, USERS, Right

group = typer.Typer(no_args_is_help=True, help="Manage topics, users and their rights in Kafka on servers.")


@group.command()
def access(
    apply: Annotated[
        bool, typer.Option("--apply", help="Make Kafka's access control lists equal to the table.")
    ] = False,
) -> None:
    """Compare Kafka's access control lists with the table of rights. Exits with status 1 if they differ."""
    from infra.kafka.access import AccessControl
    from lakehouse.kafka_connection import KafkaConnection
    from lakehouse.settings import load_settings

    control = AccessControl(KafkaConnection.of(load_settings()))
    found = control.apply() if apply else control.differences()
    _show("added" if apply else "missing", found.missing)
    _show("removed" if apply else "not in the table", found.surplus)
    for entry in found.foreign:
        typer.echo(f"{'removed' if apply else 'not in the table'}: {entry}")
    if not found:
        typer.echo(f"Kafka's lists have exactly the {len(RIGHTS)} rights of the table, of {len(USERS)} users.")
    elif not apply:
        typer.echo("`okr kafka access --apply` adds what is missing and removes what is not in the table.")
        raise typer.Exit(1)


@group.command()
def topics() -> None:
    """Create the topics of the platform that do not exist yet."""
    from infra.kafka.topics import create_missing_topics
    from lakehouse.kafka_connection import KafkaConnection
    from lakehouse.settings import load_settings

    created = create_missing_topics(KafkaConnection.of(load_settings()))
    typer.echo(f"Created: {', '.join(created) or 'nothing, all topics exist'}.")


@group.command("set-password")
def set_password(user: Annotated[str, typer.Argument(help=f"One of {', '.join(USERS)}, or a superuser.")]) -> None:
    """Create a user, or replace its password. The password is read from standard input.

    Example: okr kafka set-password okr-land < /etc/okr/secrets/okr_kafka_password_land
    """
    from infra.kafka.users import KafkaUsers
    from lakehouse.kafka_connection import KafkaConnection
    from lakehouse.settings import load_settings

    password = sys.stdin.readline().rstrip("\n")
    KafkaUsers(KafkaConnection.of(load_settings())).set_password(user, password)
    typer.echo(f"User {user} has this password now. Open connections stay open until they are closed.")


def _show(what: str, rights: Iterable[Right]) -> None:
    for right in rights:
        typer.echo(f"{what}: {right.user} {right.operation} {right.kind} {right.name}")
