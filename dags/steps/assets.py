"""The assets that start DAGs. They are not in a DAG file, because importing that file would define its DAG twice."""

from airflow.sdk import Asset

LANDED = Asset(name="okr_user_events_landed", uri="okr://lake/okr_user_events")
