"""/admin/signing-keys: the functions of `okr auth`. Private keys never leave the service."""

from datetime import UTC, datetime

from fastapi import Depends
from pydantic import BaseModel, Field

from serving.admin.routing import IsOperator, OperatorDep, admin_router, described
from serving.auth.signing_keys import SigningKey
from serving.services import ServicesDep

router = admin_router("signing keys")
EXAMPLE = {
    "kid": "0a1b2c3d4e5f6071", "public_key": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
    "signs_from": "2026-11-20T08:01:00Z", "verifies_until": None, "has_started": True,
}  # fmt: skip
NEW = {**EXAMPLE, "has_started": False, "is_changed": True}


class SigningKeyRecord(BaseModel):
    """The public part of a key that signs access tokens."""

    kid: str
    public_key: str = Field(description="The Ed25519 public key, as in `x` of its JSON Web Key.")
    signs_from: datetime
    verifies_until: datetime | None = Field(
        description="When its tokens stop being accepted; null until the key is replaced."
    )
    has_started: bool = Field(description="Whether it signs, or has signed. A new key first waits for a minute.")


class SigningKeysResponse(BaseModel):
    """The keys whose tokens are accepted, newest first."""

    signing_keys: list[SigningKeyRecord]


class RotationResponse(SigningKeyRecord):
    """The newest key, and whether this request created it."""

    is_changed: bool


@router.get(
    "/signing-keys", dependencies=[Depends(IsOperator)], **described("List signing keys", {"signing_keys": [EXAMPLE]})
)
def signing_keys(services: ServicesDep) -> SigningKeysResponse:
    """List the key that signs access tokens, and earlier keys whose tokens are still accepted."""
    found = services.auth.signing_keys.listed()
    return SigningKeysResponse(signing_keys=[SigningKeyRecord.model_validate(_fields(each)) for each in found])


@router.post("/signing-keys/rotate", **described("Rotate the signing key", NEW))
def rotate(services: ServicesDep, operator: OperatorDep) -> RotationResponse:
    """Create a key that starts signing access tokens a minute later. No one is logged out.

    Tokens of earlier keys are then accepted for 30 more minutes. Until the new key signs, a repeat changes nothing.
    """
    rotation = services.auth.key_rotation.rotate(operator)
    return RotationResponse.model_validate(_fields(rotation.key) | {"is_changed": rotation.is_changed})


def _fields(key: SigningKey) -> dict[str, object]:
    return {
        "kid": key.kid, "public_key": key.jwk()["x"], "signs_from": key.signs_from,
        "verifies_until": key.verifies_until, "has_started": key.signs_from <= datetime.now(UTC),
    }  # fmt: skip
