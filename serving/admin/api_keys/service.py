"""The list of API keys, page by page. This module does not use FastAPI."""

from dataclasses import dataclass

from serving.admin.cursors import Cursors, Page
from serving.auth.api_keys import ApiKey, ApiKeys
from serving.auth.roles import Identity


@dataclass(frozen=True)
class After:
    """The sort key of the list: keys created before this time (microseconds since 1970), or at it, with a later prefix.

    The time is a number, because a caller may change a cursor.
    """

    created_us: int
    prefix: str


CURSORS = Cursors("/admin/api-keys", After)


def page_of_keys(
    keys: ApiKeys, manager: Identity, limit: int, cursor: str | None, *, username: str | None
) -> Page[ApiKey]:
    """Return the keys that the manager may see, newest first.

    Raises:
        ContractViolation: this list did not return the cursor.
    """
    after = CURSORS.decode(cursor)
    listed = sorted(keys.listed(username, manager.organisation_id), key=_position)
    found = [each for each in listed if after is None or _position(each) > (-after.created_us, after.prefix)]
    return CURSORS.page(found[: limit + 1], limit, lambda each: After(-_position(each)[0], each.prefix))


def _position(key: ApiKey) -> tuple[int, str]:
    return -round(key.created_at.timestamp() * 1_000_000), key.prefix
