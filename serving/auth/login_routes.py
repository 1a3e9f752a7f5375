"""POST /auth/token, /auth/refresh, /auth/password, /auth/logout, and the public keys of access tokens."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.responses import Response

from serving.auth.accounts import Account
from serving.auth.authorization import ClientDep, logged_in, session_cookie
from serving.auth.grants import Grant
from serving.auth.request_bodies import described, form_or_json
from serving.auth.schemas import Credentials, KeySet, PasswordBody, RefreshBody, TokenResponse
from serving.http.strict_requests import StrictRoute
from serving.limits.rate_limit_enforcement import charge
from serving.services import ServicesDep

router = APIRouter(prefix="/auth", tags=["auth"], route_class=StrictRoute)
keys = APIRouter(tags=["auth"], route_class=StrictRoute)

WRONG = {"description": "The password or the refresh token is wrong, or the account is disabled."}
JWKS_AGE_S = 30  # a new key signs a minute after it was created


@router.post("/token", openapi_extra=described(Credentials), responses={401: WRONG})
def token(
    credentials: Annotated[Credentials, Depends(form_or_json(Credentials))], client: ClientDep, services: ServicesDep
) -> TokenResponse:
    """Exchange a user name and a password for an access token that is valid for 15 minutes, and a refresh token."""
    account = services.auth.login.verify(credentials.username, credentials.password, client)
    return _response(services.auth.grants.first(account))


@router.post("/refresh", openapi_extra=described(RefreshBody), responses={401: WRONG})
def refresh(
    request: Request, body: Annotated[RefreshBody, Depends(form_or_json(RefreshBody))], client: ClientDep,
    services: ServicesDep,
) -> TokenResponse:  # fmt: skip
    """Exchange a refresh token for the next access token and refresh token.

    Each refresh token can be used once. If it is used again, all tokens of its login are revoked, because one of the
    two users has stolen it.
    """

    def pay(account: Account) -> None:
        charge(request.scope, account.identity("refresh"))

    return _response(services.auth.grants.refreshed(body.refresh_token, client.address, pay))


@router.post("/password", status_code=204, openapi_extra=described(PasswordBody), responses={401: WRONG})
def change_password(
    body: Annotated[PasswordBody, Depends(form_or_json(PasswordBody))], client: ClientDep, services: ServicesDep
) -> Response:
    """Replace the password of an account with another one. All of its sessions and tokens end; log in again.

    This is also how a one-time password is used. Wrong passwords count against the same limits as failed logins.
    """
    services.auth.login.change_password(body.username, body.password, body.new_password, client)
    services.auth.sessions.end_all(body.username)
    return Response(status_code=204)


@router.post("/logout", status_code=204, dependencies=[Depends(logged_in)])
def logout(request: Request, client: ClientDep, services: ServicesDep) -> Response:
    """End the login to which the credential belongs: a session immediately, tokens of an app within 2 seconds."""
    cookie = session_cookie(request, services)
    services.auth.logout.end(request.headers.get("authorization"), cookie, client.address)
    response = Response(status_code=204)
    if cookie is not None:
        services.auth.cookies.delete_session(response, request.url.scheme)
    return response


@keys.get("/.well-known/jwks.json", response_model=KeySet)
def jwks(services: ServicesDep) -> JSONResponse:
    """Return the public keys that verify access tokens (RFC 7517). No login is required."""
    headers = {"Cache-Control": f"public, max-age={JWKS_AGE_S}"}
    return JSONResponse(services.auth.signing_keys.jwks(), headers=headers)


def _response(grant: Grant) -> TokenResponse:
    return TokenResponse(
        access_token=grant.access.text,
        expires_in=grant.access.expires_in_s,
        refresh_token=grant.refresh.text,
        refresh_expires_in=grant.refresh.expires_in_s,
    )
