"""Build the services of authentication."""

from dataclasses import dataclass

import redis

from lakehouse.settings import Settings
from serving.auth.access_tokens import AccessTokens
from serving.auth.account_cache import AccountCache
from serving.auth.account_changes import AccountChanges
from serving.auth.account_logins import AccountLogins
from serving.auth.accounts import Accounts
from serving.auth.api_key_usage import ApiKeyUsage
from serving.auth.api_keys import ApiKeys
from serving.auth.audit_chain import Chain
from serving.auth.audit_log import AuditLog
from serving.auth.authenticator import Authenticator
from serving.auth.client_address import TrustedProxies
from serving.auth.cookies import Cookies
from serving.auth.credential_watch import CredentialWatch
from serving.auth.derived_keys import derived_key
from serving.auth.failure_counts import FailureCounts
from serving.auth.grants import Grants
from serving.auth.key_rotation import KeyRotation
from serving.auth.known_clients import KnownClients
from serving.auth.login import Login
from serving.auth.login_limit import LoginLimit
from serving.auth.logout import Logout
from serving.auth.passwords import Passwords
from serving.auth.refresh_tokens import RefreshTokens
from serving.auth.revocations import Revocations
from serving.auth.sessions import Sessions
from serving.auth.signing_keys import SigningKeys
from serving.auth.visible_key_results import VisibleKeyResults
from serving.warehouses import Warehouses


@dataclass(frozen=True)
class Auth:
    """The services of authentication. Only `cookies` is about HTTP."""

    accounts: Accounts
    account_changes: AccountChanges
    account_logins: AccountLogins
    login: Login
    logout: Logout
    grants: Grants
    refresh_tokens: RefreshTokens
    sessions: Sessions
    api_keys: ApiKeys
    signing_keys: SigningKeys
    key_rotation: KeyRotation
    authenticator: Authenticator
    known_clients: KnownClients
    visible_key_results: VisibleKeyResults
    audit: AuditLog
    chain: Chain
    cookies: Cookies
    trusted_proxies: TrustedProxies
    watch: CredentialWatch

    def prepare(self, settings: Settings) -> None:
        """Create the first accounts and the first signing key. This can be repeated.

        Raises:
            RetryableError: PostgreSQL is unavailable.
        """
        self.accounts.seed(settings)
        self.signing_keys.prepare()


def audit_chain(secret: str) -> Chain:
    """Return the chain of the audit log that is sealed with a key of this OKR_JWT_SECRET."""
    return Chain(derived_key(secret, "audit log"))


def build_auth(settings: Settings, warehouses: Warehouses, client: "redis.Redis") -> Auth:
    """Build the services from the settings, without connecting to anything yet.

    Raises:
        PermanentError: a setting is missing or invalid.
    """
    warehouse, secret = warehouses.installation, settings.require("jwt_secret")
    chain = audit_chain(secret)
    passwords, revocations, usage = Passwords(), Revocations(), ApiKeyUsage()
    audit = AuditLog(warehouse, chain)
    accounts = Accounts(warehouses, passwords, audit)
    account_changes = AccountChanges(warehouse, passwords, audit, revocations)
    keys = SigningKeys(warehouse, derived_key(secret, "signing keys"))
    known_clients = KnownClients(warehouse, derived_key(secret, "known clients"))
    refresh_tokens = RefreshTokens(warehouse, audit, revocations)
    access_tokens = AccessTokens(keys, revocations)
    api_keys = ApiKeys(warehouses, audit, revocations, usage)
    cache = AccountCache(accounts.account)
    revocations.listen(cache.drop)
    sessions = Sessions(client, cache.find)
    return Auth(
        accounts=accounts,
        account_changes=account_changes,
        account_logins=AccountLogins(accounts, sessions, refresh_tokens, audit),
        login=Login(
            warehouse,
            accounts,
            passwords,
            account_changes,
            LoginLimit(FailureCounts(client), known_clients),
            known_clients,
            audit,
        ),
        logout=Logout(access_tokens, refresh_tokens, sessions, audit),
        grants=Grants(access_tokens, refresh_tokens),
        refresh_tokens=refresh_tokens,
        sessions=sessions,
        api_keys=api_keys,
        signing_keys=keys,
        key_rotation=KeyRotation(keys, audit),
        authenticator=Authenticator(access_tokens, api_keys, sessions, revocations),
        known_clients=known_clients,
        visible_key_results=VisibleKeyResults(warehouses),
        audit=audit,
        chain=chain,
        cookies=Cookies(derived_key(secret, "cookie name").hex()[:8], settings.api_url.startswith("https://")),
        trusted_proxies=TrustedProxies(settings.trusted_proxies),
        watch=CredentialWatch(settings.require("dsn_serving"), revocations, keys, usage, state=settings.state),
    )
