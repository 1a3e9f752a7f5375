"""`okr account`: manage accounts. Passwords never appear on the command line, which other users can read."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.errors import PermanentError
from serving.auth.command_context import actor, auth_services

if TYPE_CHECKING:
    from serving.auth.roles import Role

app = typer.Typer(no_args_is_help=True, help="Manage accounts of the API and the pages.")

Username = Annotated[str, typer.Argument(help="The user name.")]
RoleName = Annotated[str, typer.Option("--role", help="Role: viewer, member, lead, admin or service.")]
Organisation = Annotated[
    str | None, typer.Option(help="Id of the account's organisation. Without this option, it sees every organisation.")
]
User = Annotated[str | None, typer.Option(help="Id of the user to whom the account belongs.")]
Team = Annotated[list[str] | None, typer.Option(help="Id of a team that the account leads. Can be repeated.")]
Plan = Annotated[str, typer.Option(help="The plan whose request limits apply.")]
FromStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]
Generate = Annotated[bool, typer.Option("--generate", help="Generate a password and print it once.")]


@app.command("add")
def add_account(  # noqa: PLR0913, PLR0917 -- the options of the command
    username: Username,
    role: RoleName,
    organisation: Organisation = None,
    user: User = None,
    team: Team = None,
    plan: Plan = "standard",
    password_stdin: FromStdin = False,
    generate: Generate = False,
) -> None:
    """Create an account. Without --password-stdin or --generate, the command asks for the password."""
    from serving.auth.account_changes import Assignment

    password = _password(password_stdin=password_stdin, generate=generate)
    with auth_services() as (services, _):
        assignment = Assignment(organisation, user, tuple(team or ()), plan)
        services.account_changes.create(username, _role(role), password, assignment, actor())
    _show(f"Created the account {username}.", password if generate else None)


@app.command("list")
def list_accounts() -> None:
    """List the accounts."""
    with auth_services() as (services, _):
        for each in services.accounts.listed():
            where = each.organisation_id or "every organisation"
            state = "disabled" if each.disabled_at else "enabled"
            changed = f"password changed {each.password_changed_at:%Y-%m-%d}"
            typer.echo(f"{each.username}\t{each.role.value}\t{where}\t{each.plan}\t{state}\t{changed}")


@app.command("disable")
def disable_account(username: Username) -> None:
    """Disable an account. Its sessions, tokens and API keys can no longer be used."""
    with auth_services() as (services, _):
        services.account_changes.disable(username, actor())
        services.sessions.end_all(username)
    typer.echo(f"Disabled the account {username}.")


@app.command("enable")
def enable_account(username: Username) -> None:
    """Enable a disabled account."""
    with auth_services() as (services, _):
        services.account_changes.enable(username, actor())
    typer.echo(f"Enabled the account {username}.")


@app.command("role")
def change_role(username: Username, role: Annotated[str, typer.Argument(help="The new role.")]) -> None:
    """Give an account another role. Its sessions and tokens are revoked."""
    with auth_services() as (services, _):
        services.account_changes.change_role(username, _role(role), actor())
    typer.echo(f"The account {username} has the role {role}.")


@app.command("password")
def change_password(username: Username, password_stdin: FromStdin = False, generate: Generate = False) -> None:
    """Change a password. All sessions and tokens of the account are revoked; its API keys stay valid."""
    password = _password(password_stdin=password_stdin, generate=generate)
    with auth_services() as (services, _):
        services.account_changes.change_password(username, password, actor())
        services.sessions.end_all(username)
    _show(f"Changed the password of {username}.", password if generate else None)


def _password(*, password_stdin: bool, generate: bool) -> str:
    from serving.auth.account_changes import generated_password

    if generate:
        return generated_password()
    if password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise PermanentError("There is no terminal to ask for the password: use --password-stdin or --generate.")
    return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))


def _show(done: str, password: str | None) -> None:
    typer.echo(done if password is None else f"{done} Its password, which is not shown again: {password}")


def _role(name: str) -> "Role":
    from serving.auth.roles import Role

    try:
        return Role(name)
    except ValueError:
        raise PermanentError(f"Unknown role {name!r}: expected {', '.join(Role)}.") from None
