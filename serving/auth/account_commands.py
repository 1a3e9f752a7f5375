"""`okr account`: manage accounts. Passwords never appear on the command line, which other users can read."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from lakehouse.contracts.allowed_characters import printable
from lakehouse.errors import PermanentError
from serving.auth.command_context import actor, auth_services

if TYPE_CHECKING:
    from serving.auth.roles import Role

app = typer.Typer(no_args_is_help=True, help="Manage accounts of the API and the pages.")

Username = Annotated[str, typer.Argument(help="The user name.")]
RoleName = Annotated[str, typer.Option("--role", help="Role: viewer, member, lead, admin or service.")]
Organisation = Annotated[
    str | None,
    typer.Option(help="Id of the account's organisation. Without this option, the account sees every organisation."),
]
User = Annotated[str | None, typer.Option(help="Id of the user to whom the account belongs.")]
Team = Annotated[list[str] | None, typer.Option(help="Id of a team that the account leads. Can be repeated.")]
Plan = Annotated[str, typer.Option(help="The plan whose request limits apply.")]
OneTime = Annotated[
    bool, typer.Option("--one-time", help="Generate a password that its owner must replace within three days.")
]
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
    one_time: OneTime = False,
) -> None:
    """Create an account. Without an option for the password, the command asks for it."""
    from serving.auth.assignment import Assignment

    password = _password(password_stdin=password_stdin, generate=generate or one_time)
    with auth_services() as (services, _):
        assignment = Assignment(organisation, user, tuple(team or ()), plan)
        services.account_changes.create(username, _role(role), password, assignment, actor(), is_one_time=one_time)
    _show(f"Created the account {username}.", password if generate or one_time else None)


@app.command("roles")
def list_roles() -> None:
    """List the roles and their rights. Rights marked with * require that the account has no organisation."""
    from serving.auth.roles import OF_THE_INSTALLATION, RIGHTS

    for role, rights in RIGHTS.items():
        names = [f"{right.scope}*" if right in OF_THE_INSTALLATION else right.scope for right in rights]
        typer.echo(f"{role.value}\t{', '.join(sorted(names))}")


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


@app.command("change")
def change_account(  # noqa: PLR0913, PLR0917 -- the options of the command
    username: Username,
    role: Annotated[str | None, typer.Option(help="The new role.")] = None,
    organisation: Annotated[
        str | None, typer.Option(help="Id of the new organisation; '' for none, so that the account sees all.")
    ] = None,
    user: Annotated[str | None, typer.Option(help="Id of the new user; '' for none.")] = None,
    team: Annotated[
        list[str] | None, typer.Option(help="Id of a team that the account leads; replaces its teams. Can be repeated.")
    ] = None,
    no_teams: Annotated[bool, typer.Option("--no-teams", help="The account leads no team from now on.")] = False,
    plan: Annotated[str | None, typer.Option(help="The new plan.")] = None,
) -> None:
    """Change the role, organisation, user, teams or plan of an account. Its sessions and tokens are revoked."""
    fields: dict[str, object] = {}
    if role is not None:
        fields["role"] = _role(role)
    for name, value in (("organisation_id", organisation), ("user_id", user)):
        if value is not None:
            fields[name] = value or None
    if team or no_teams:
        fields["team_ids"] = tuple(team or ())
    if plan is not None:
        fields["plan"] = plan
    with auth_services() as (services, _):
        account = services.account_changes.change(username, fields, actor())
    teams = f", leads {', '.join(account.team_ids)}" if account.team_ids else ""
    where = account.organisation_id or "every organisation"
    typer.echo(f"{username}: {account.role.value} of {where}, user {account.user_id}, plan {account.plan}{teams}")


@app.command("password")
def change_password(
    username: Username, password_stdin: FromStdin = False, generate: Generate = False, one_time: OneTime = False
) -> None:
    """Change a password. All sessions and tokens of the account are revoked; its API keys stay valid."""
    password = _password(password_stdin=password_stdin, generate=generate or one_time)
    with auth_services() as (services, _):
        services.account_changes.change_password(username, password, actor(), is_one_time=one_time)
        services.sessions.end_all(username)
    _show(f"Changed the password of {username}.", password if generate or one_time else None)


@app.command("logins")
def list_logins(username: Username) -> None:
    """List the active logins of an account, newest first."""
    with auth_services() as (services, _):
        for each in services.account_logins.listed(username):
            started = f"since {each.started_at:%Y-%m-%d %H:%M}"
            typer.echo(f"{each.session_id}\t{each.kind}\t{started}\t{printable(each.client or '-')}")


@app.command("logout")
def log_out(
    username: Username,
    login: Annotated[str | None, typer.Option(help="End only this login. `okr account logins` shows the ids.")] = None,
) -> None:
    """End the logins of an account, or one of them. Its API keys stay valid."""
    with auth_services() as (services, _):
        if login is None:
            services.account_changes.log_out_everywhere(username, actor())
            services.sessions.end_all(username)
        elif not services.account_logins.end(username, login, actor()):
            raise PermanentError(f"The account {username} has no login {login}.")
    typer.echo(f"Logged {username} out.")


def _password(*, password_stdin: bool, generate: bool) -> str:
    from serving.auth.passwords import generated_password

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
