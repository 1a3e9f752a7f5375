"""Publications for operators: the functions of `okr publication`. This module does not use FastAPI."""

from dataclasses import dataclass

from lakehouse.publishing import publication
from lakehouse.publishing.hold_reasons import Hold, read_holds
from lakehouse.publishing.publication import Publication, Rollback
from lakehouse.settings import Settings
from serving.admin.changes import Changes, Operator
from serving.admin.cursors import Cursors, Page
from serving.admin.operator_settings import operator_setting
from serving.errors import NotPublished
from serving.publication_reader import NOTHING_YET, Warehouse

LOGIN = "dsn_transform"


@dataclass(frozen=True)
class Before:
    """The sort key of the list: publications before this one."""

    publication_id: int


CURSORS = Cursors("/admin/publications", Before)


class Publications:
    """Lists publications, rolls back and resumes."""

    def __init__(self, settings: Settings, warehouse: Warehouse, changes: Changes) -> None:
        self._settings = settings
        self._warehouse = warehouse
        self._changes = changes

    def page(self, limit: int, cursor: str | None) -> tuple[Page[Publication], list[Hold]]:
        """Return publications, newest first, and the reasons why publications are on hold.

        Raises:
            ContractViolation: this list did not return the cursor.
        """
        before = CURSORS.decode(cursor)
        with self._warehouse.connection() as connection:
            found = publication.read_history(connection, limit + 1, before.publication_id if before else None)
            holds = read_holds(connection)
        return CURSORS.page(found, limit, lambda each: Before(each.publication_id)), holds

    def current(self) -> tuple[Publication, list[Hold]]:
        """Return the current publication, and the reasons why publications are on hold.

        Raises:
            NotPublished: there is none yet.
        """
        with self._warehouse.connection() as connection:
            found, holds = publication.read_current(connection), read_holds(connection)
        if found is None:
            raise NotPublished(NOTHING_YET)
        return found, holds

    def roll_back(self, publication_id: int, operator: Operator) -> Rollback:
        """Make the publication before `publication_id` current again. Repeating the call changes nothing.

        Raises:
            NotPossible: another publication is current, or there is no older one.
        """
        with self._changes.recorded(operator, "publication.rolled_back", str(publication_id)) as details:
            login = self._login("roll back publications")
            result = publication.rollback(login, current_publication_id=publication_id)
            details |= {"restored": result.restored.publication_id, "is_changed": result.is_changed}
        return result

    def resume(self, operator: Operator) -> list[int]:
        """End the hold after a rollback, and return the rolled-back publications. Repeating it changes nothing."""
        with self._changes.recorded(operator, "publication.resumed", "publications") as details:
            dropped = publication.resume(self._login("resume publications"))
            details |= {"dropped": [str(each) for each in dropped]}
        return dropped

    def _login(self, action: str) -> str:
        return operator_setting(self._settings, LOGIN, action)
