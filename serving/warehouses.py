"""The warehouse as a caller may see it: every organisation, or one of them, restricted by row-level security (ADR 30).

The conditions of the queries (serving/auth/visibility.py) decide what a caller sees. Row-level security is the second
barrier: the login okr_organisation reads no row of another organisation, even if a query lacks its condition.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lakehouse.settings import Settings
from serving.personal_fields import PersonalFields
from serving.publication_reader import Warehouse


@dataclass(frozen=True)
class Warehouses:
    """The warehouse through each of the API's two logins. Call `open` before use, and `close` at the end.

    `installation` sees every organisation. It serves accounts without an organisation, background work, authentication,
    and writes (which must know whether an id belongs to another organisation). `restricted` sees only the organisation
    that the transaction names. `personal_fields` decrypts what a caller has read.
    """

    installation: Warehouse
    restricted: Warehouse
    personal_fields: PersonalFields = field(default_factory=PersonalFields)

    @classmethod
    def from_settings(cls, settings: Settings) -> "Warehouses":
        """Return the warehouses of the API's two logins, without connecting to anything yet.

        Raises:
            PermanentError: a setting is missing, or the key file of field encryption is invalid.
        """
        return cls(
            Warehouse(settings.require("dsn_serving")),
            Warehouse(settings.require("dsn_organisation"), least=0),
            PersonalFields.from_settings(settings),
        )

    def of(self, organisation_id: str | None) -> Warehouse:
        """Return the warehouse as seen by accounts of this organisation or, for None, of the installation."""
        return self.installation if organisation_id is None else self.restricted.restricted_to(organisation_id)

    def seen_by(self, visible: Mapping[str, Any]) -> Warehouse:
        """Return the warehouse as seen by the caller whose query parameters these are (`visibility.parameters`)."""
        return self.of(visible["visible_organisation_id"])

    def open(self) -> None:
        """Start the pools. They retry in the background while PostgreSQL is unavailable."""
        self.installation.open()
        self.restricted.open()
        self.personal_fields.open()

    def close(self) -> None:
        """Close every connection."""
        self.personal_fields.close()
        self.restricted.close()
        self.installation.close()
