"""Airflow's logins, with one more right: the landing worker's login, a `viewer`, may announce what has landed.

The lowest role of SimpleAuthManager that may post asset events is `op`, which may also change connections and variables
and do everything with DAGs.
"""

import os
from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser


class OkrAuthManager(SimpleAuthManager):  # type: ignore[misc]  # Airflow is not checked
    """SimpleAuthManager, in which the landing worker may post events of assets."""

    def is_authorized_asset(self, *, method: Any, user: SimpleAuthManagerUser, details: Any = None) -> bool:
        """Return whether a user may use a method on assets."""
        is_landing = user.get_id() == os.environ.get("OKR_AIRFLOW_LANDING_USER", "okr-landing")
        if is_landing and method == "POST":
            return True
        return bool(super().is_authorized_asset(method=method, user=user, details=details))
