"""`okr redis`: the Redis users of a server."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Print the Redis users (ACL file) of a server.")
MODE = 0o640
Output = Annotated[
    Path | None,
    typer.Option(help="Replace this file instead, readable by the group of its folder. On failure, it is unchanged."),
]


@group.command()
def users(output: Output = None) -> None:
    """Print the access control list (`aclfile`) of Redis, which contains hashes of the passwords.

    The passwords come from OKR_REDIS_URL, OKR_REDIS_STATE_URL, OKR_REDIS_METRICS_URL and, if it is set,
    OKR_REDIS_ADMIN_URL. After you have changed the file, `redis-cli ACL LOAD` applies it.
    """
    import os

    from infra.redis.users import acl_rules, passwords_in
    from lakehouse.atomic_replace import replace_file
    from lakehouse.settings import load_settings

    rules = acl_rules(passwords_in(load_settings()))
    if output is None:
        typer.echo("\n".join(rules))
        return
    replace_file(output, "".join(f"{rule}\n" for rule in rules), mode=MODE)
    os.chown(output, -1, output.parent.stat().st_gid)
    typer.echo(f"{output} has {len(rules) - 1} users.")
