"""What starts DAGs. Not in a DAG's file: one that imports another one would define it a second time."""

from airflow.sdk import Asset

LANDED = Asset(name="okr_user_events_landed", uri="okr://lake/okr_user_events")
