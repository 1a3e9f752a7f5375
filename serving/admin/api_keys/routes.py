"""/admin/api-keys: the functions of `okr api-key`. An organisation's administrator manages only its accounts' keys."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import Body, Path, Query
from pydantic import StringConstraints

from serving.admin.api_keys.schemas import (
    EXAMPLE,
    EXAMPLE_BODY,
    NEW,
    REVOKED,
    ApiKeyBody,
    ApiKeyRecord,
    ApiKeysResponse,
    NewApiKeyResponse,
    RotationBody,
)
from serving.admin.api_keys.service import page_of_keys
from serving.admin.managers import Manager, ManagingActor, Username
from serving.admin.routing import Limit, PageCursor, admin_router, described
from serving.auth.api_keys import NewApiKey
from serving.http.idempotency import IdempotencyKey
from serving.schemas import Id
from serving.services import ServicesDep

router = admin_router("API keys")
Prefix = Annotated[
    Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{12}$")], Path(description="The key's prefix, as in the list.")
]


@router.get("/api-keys", **described("List API keys", {"api_keys": [EXAMPLE], "next_cursor": None}))
def api_keys(
    services: ServicesDep,
    manager: Manager,
    username: Annotated[Id | None, Query(description="Only the keys of this account.")] = None,
    limit: Limit = 100,
    cursor: PageCursor = None,
) -> ApiKeysResponse:
    """List API keys without their secrets, newest first."""
    page = page_of_keys(services.auth.api_keys, manager, limit, cursor, username=username)
    return ApiKeysResponse(
        api_keys=[ApiKeyRecord.model_validate(each, from_attributes=True) for each in page.items],
        next_cursor=page.next_cursor,
    )


@router.post("/accounts/{username}/api-keys", **described("Create an API key", NEW, 404, 409, status=201))
def create(
    username: Username,
    body: Annotated[ApiKeyBody, Body(examples=[EXAMPLE_BODY])],
    services: ServicesDep,
    actor: ManagingActor,
    idempotency_key: IdempotencyKey = None,
) -> NewApiKeyResponse:
    """Create an API key for an account. Only this response contains its secret.

    With an `Idempotency-Key`, a repeated request creates no second key: it gets a 409 that names the first key.
    """
    expires_at = datetime.now(UTC) + timedelta(days=body.days) if body.days else None
    new = services.auth.api_keys.add(
        username, body.name, body.scopes, actor, expires_at, idempotency_key=idempotency_key
    )
    return _new(new)


@router.post("/api-keys/{prefix}/rotate", **described("Rotate an API key", NEW, 404, 409, status=201))
def rotate(
    prefix: Prefix,
    body: Annotated[RotationBody, Body(examples=[{"overlap_hours": 24}])],
    services: ServicesDep,
    actor: ManagingActor,
) -> NewApiKeyResponse:
    """Replace a key with a new key of the same name, scopes and lifetime. Only this response contains the new key.

    The old key stays valid for `overlap_hours`. It can be rotated only once: a repeated request gets a 409 that
    names the new key.
    """
    return _new(services.auth.api_keys.rotate(prefix, actor, timedelta(hours=body.overlap_hours)))


@router.post("/api-keys/{prefix}/revoke", **described("Revoke an API key", REVOKED, 404))
def revoke(prefix: Prefix, services: ServicesDep, actor: ManagingActor) -> ApiKeyRecord:
    """Revoke a key. Every worker rejects it within 2 seconds. A repeat changes nothing."""
    return ApiKeyRecord.model_validate(services.auth.api_keys.revoke(prefix, actor), from_attributes=True)


def _new(new: NewApiKey) -> NewApiKeyResponse:
    return NewApiKeyResponse.model_validate(vars(new.key) | {"scopes": list(new.key.scopes), "api_key": new.text})
