"""`okr redis`: the Redis users of a server."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Print the Redis users (ACL file) of a server.")
AdminPassword = Annotated[
    Path | None,
    typer.Option(help="File with the password of okr_admin, who may do everything."),
]


@group.command()
def users(admin_password_file: AdminPassword = None) -> None:
    """Print the access control list (`aclfile`) of Redis, which contains hashes of the passwords.

    The passwords of the services come from OKR_REDIS_URL, OKR_REDIS_STATE_URL and OKR_REDIS_METRICS_URL. After you have
    changed the file, `redis-cli ACL LOAD` applies it.
    """
    from infra.redis.users import ADMIN, acl_rules, passwords_in
    from lakehouse.settings import load_settings

    passwords = passwords_in(load_settings())
    if admin_password_file is not None:
        passwords[ADMIN] = admin_password_file.read_text(encoding="utf-8").removesuffix("\n")
    typer.echo("\n".join(acl_rules(passwords)))
