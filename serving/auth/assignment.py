"""Where an account belongs, and how many requests it may send."""

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from serving.errors import InvalidAccount

if TYPE_CHECKING:
    from serving.auth.accounts import Account

STANDARD_PLAN = "standard"
LONGEST = 4_000  # characters as JSON, because access tokens contain it


@dataclass(frozen=True)
class Assignment:
    """Where an account belongs: its organisation (None: the installation), its user, the teams it leads, its plan."""

    organisation_id: str | None = None
    user_id: str | None = None
    team_ids: tuple[str, ...] = field(default=())
    plan: str = STANDARD_PLAN

    @classmethod
    def of(cls, account: "Account") -> Self:
        """Return the assignment of an account."""
        return cls(account.organisation_id, account.user_id, account.team_ids, account.plan)

    def columns(self) -> dict[str, Any]:
        """Return the values of the columns."""
        return {
            "organisation_id": self.organisation_id,
            "user_id": self.user_id,
            "team_ids": list(self.team_ids),
            "plan": self.plan,
        }

    def check(self) -> None:
        """Check that access tokens can contain the assignment.

        Raises:
            InvalidAccount: an id is empty, or there are too many teams.
        """
        names = (self.organisation_id, self.user_id, self.plan, *self.team_ids)
        if len(json.dumps(names)) > LONGEST:
            raise InvalidAccount(
                f"The ids of the organisation, user and teams have more than {LONGEST} characters as JSON. An "
                "administrator of the organisation needs no teams.",
                "team_ids",
            )
        if "" in names:
            raise InvalidAccount("An id of an organisation, user or team is empty.", "team_ids")
