"""Users of Redis beyond the documented ones (infra/redis/users.py), and unsafe settings of the server."""

from collections.abc import Callable, Iterable, Iterator, Sequence

from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from infra.redis.users import ADMIN, URLS, acl_rules
from lakehouse.redis_connection import new_client, redis_address

CommandsOf = Callable[[str], Iterable[str]]  # the commands of a category, as the server knows them
DEFAULT = "default"  # the user of clients that give no user name
LIMIT_SECONDS = 5
EXPECTED = {"loglevel": ("notice", "warning"), "enable-debug-command": ("no",), "enable-module-command": ("no",)}
RESTORE = "Restore the access control list (`okr redis users` prints it), and run ACL LOAD or restart Redis."


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each user, right and setting beyond the documented ones.

    Raises:
        NotChecked: the address with Redis's administrator is not set.
    """
    if not installation.settings.redis_admin_url.get_secret_value():
        raise NotChecked("OKR_REDIS_ADMIN_URL is not set")
    address = redis_address(installation.settings, "redis_admin_url")
    with new_client(address, LIMIT_SECONDS, decode_responses=True) as client:
        for line in client.acl_list():
            yield from _user(line.split(" "), client.acl_cat)
        settings = client.config_get("*")
    for name, expected in EXPECTED.items():
        if (found := settings.get(name, expected[0])) not in expected:
            yield Finding(f"Redis's {name}", " or ".join(expected), found, "Change it in redis.conf and restart Redis.")


def _user(words: Sequence[str], commands_of: CommandsOf) -> Iterator[Finding]:
    """Yield findings for a line of ACL LIST: user <name> on #<hash> ~<keys> &<channels> -@all +<command> ..."""
    name, subject = words[1], f"Redis user {words[1]}"
    if "on" not in words:
        return
    if name not in (ADMIN, *URLS):
        expected = "to be off" if name == DEFAULT else f"only {', '.join((ADMIN, *URLS))}"
        yield Finding(subject, expected, "that it can log in", RESTORE)
        return
    if "nopass" in words:
        yield Finding(subject, "a password", "none (nopass)", RESTORE)
    if name == ADMIN:
        return
    documented = acl_rules({name: ""})[-1].split(" ")
    beyond = [word for word in words if word[:1] in "~&%" and word not in documented]
    beyond += sorted(_commands(words, commands_of) - _commands(documented, commands_of))
    if beyond:
        yield Finding(subject, "the documented rights", f"also {' '.join(beyond)}", RESTORE)


def _commands(words: Sequence[str], commands_of: CommandsOf) -> set[str]:
    """Return the commands that a line allows. Redis 6 replaces commands by categories with exceptions."""
    allowed: set[str] = set()
    for word in words:
        sign, name = word[:1], word[1:]
        if sign not in "+-":
            continue
        named = {name}
        if name.startswith("@") and name != "@all":
            named = {str(command).lower() for command in commands_of(name[1:])}
        if sign == "+":
            allowed |= named
        else:
            allowed = set() if name == "@all" else allowed - named
    return allowed
