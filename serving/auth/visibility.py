"""Decide which objects an identity may see and change. No other module decides this.

| | viewer | member | lead | admin, service |
|---|---|---|---|---|
| sees objects of | its organisation | its organisation | its organisation | its organisation |
| sees the activity of | its own user | its own user | its own user, users of led teams | its organisation |
| changes objects of | - | its user's team | its user's team, led teams | its organisation |
| sees e-mail addresses of users of | - | - | its user's team, led teams | its organisation |

Objects are teams, cycles, objectives, key results and check-ins. Cycles belong to no team. `roles` decides what a role
may do with objects.

An account without an organisation sees every organisation of the installation. An object that an identity may not see
does not exist for it: every route responds as it does to an unknown id. Rows that belong to no known organisation (key
results without a team, for example) are visible only to accounts without an organisation.

The rules reach the database as parameters of the queries (`parameters`), and every query over objects applies them. The
organisation of an object is its team's organisation (ADR 18).
"""

from collections.abc import Collection
from typing import Any

from serving.auth.roles import Identity, Role

OF_THE_ORGANISATION = frozenset({Role.ADMIN, Role.SERVICE})
# The parameters of an identity that sees everything, for work that no caller asked for.
UNRESTRICTED: dict[str, Any] = {
    "visible_organisation_id": None,
    "is_of_organisation": True,
    "own_user_id": None,
    "led_team_ids": [],
}


def sees_personal_fields(identity: Identity, team_id: str | None, own_and_led_team_ids: Collection[str]) -> bool:
    """Return whether an identity with the right to define users sees the e-mail address of a user of a team."""
    return identity.role in OF_THE_ORGANISATION or team_id in own_and_led_team_ids


def parameters(identity: Identity) -> dict[str, Any]:
    """Return the query parameters that restrict rows to what an identity may see and change.

    - `visible_organisation_id`: only objects of this organisation; None: of every organisation
    - `is_of_organisation`: whether it sees the activity of every user and changes the objects of every team
    - `own_user_id`, `led_team_ids`: if `is_of_organisation` is false, only this user, their team and these teams
    """
    return {
        "visible_organisation_id": identity.organisation_id,
        "is_of_organisation": identity.role in OF_THE_ORGANISATION,
        "own_user_id": identity.user_id,
        "led_team_ids": list(identity.team_ids),
    }
