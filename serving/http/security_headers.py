"""The security headers of every response. Those that only concern documents are left out of JSON, to save time."""

from collections.abc import Iterable

Field = tuple[bytes, bytes]

CONTENT_POLICY = (
    b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
EVERY_RESPONSE: list[Field] = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
# The referrer policy is not `no-referrer`, because browsers would then send `Origin: null` with this site's forms.
DOCUMENTS: list[Field] = [
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
]
DEFAULTS: dict[bytes, Field] = {
    b"content-security-policy": (b"content-security-policy", CONTENT_POLICY),
    b"cache-control": (b"cache-control", b"no-store"),
}
JSON = (b"application/json", b"application/problem+json")


def add_security_headers(headers: Iterable[Field]) -> list[Field]:
    """Return the headers with those that are missing. The names are in lower case, as ASGI demands."""
    found = list(headers)
    names = dict(found)
    found += EVERY_RESPONSE
    if names.get(b"content-type") not in JSON:
        found += DOCUMENTS
    found += [field for name, field in DEFAULTS.items() if name not in names]
    return found
