"""Accounts of the API with one-time passwords that were never changed, and API keys that never expire."""

from collections.abc import Iterator

from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation
from lakehouse.warehouse import connect, read_sql


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each of them. Disabled accounts and revoked keys do not count.

    Raises:
        NotChecked: the address of the API's database role is not set.
    """
    dsn = installation.settings.dsn_serving.get_secret_value()
    if not dsn:
        raise NotChecked("OKR_DSN_SERVING is not set")
    with connect(dsn, application="okr-audit", autocommit=True) as connection:
        rows = connection.execute(read_sql("infra.audit", "accounts").encode()).fetchall()
    for kind, subject, username, since in rows:
        if kind == "one-time password":
            yield Finding(
                f"account {username}", "a password of its own", f"a one-time password of {since}, never changed",
                f"Ask its user to log in, or run `okr account disable {username}`.",
            )  # fmt: skip
        else:
            yield Finding(
                f"API key {subject} of {username}", "an expiry", f"none, since {since}",
                f"Create a new key with `okr api-key add --days <n>`, then run `okr api-key revoke {subject}`.",
            )  # fmt: skip
