"""Issue an access token and a refresh token to an app, when it logs in and whenever it refreshes."""

from collections.abc import Callable
from dataclasses import dataclass

from serving.auth.access_tokens import AccessToken, AccessTokens
from serving.auth.accounts import Account
from serving.auth.refresh_tokens import RefreshToken, RefreshTokens


@dataclass(frozen=True)
class Grant:
    """An access token and a refresh token of the same login."""

    access: AccessToken
    refresh: RefreshToken


class Grants:
    """Issues grants."""

    def __init__(self, access_tokens: AccessTokens, refresh_tokens: RefreshTokens) -> None:
        self._access_tokens = access_tokens
        self._refresh_tokens = refresh_tokens

    def first(self, account: Account) -> Grant:
        """Return the first grant of a login.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        refresh = self._refresh_tokens.first(account)
        return Grant(self._access_tokens.issue(account, refresh.family), refresh)

    def refreshed(self, refresh_token: str, address: str, pay: Callable[[Account], None]) -> Grant:
        """Return the next grant for a refresh token, which cannot be used again unless `pay` raises an error.

        Raises:
            NotSignedIn: the token is unknown, expired, revoked or used.
            RetryableError: PostgreSQL is unavailable; the token was not used.
        """
        account, refresh = self._refresh_tokens.exchange(refresh_token, address, pay)
        return Grant(self._access_tokens.issue(account, refresh.family), refresh)
