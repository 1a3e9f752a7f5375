"""The steps of data_quality_dag."""

from dags.steps.task_adapter import report_rows, run_id, say, skip_unless_published, step
from lakehouse.settings import load_settings


@step
def verify_lake() -> None:
    """Verify that no event was lost or duplicated between Kafka and `raw`.

    Raises:
        AirflowFailException: an offset is missing or duplicated.
        RetryableError: the broker did not answer.
        AirflowSkipException: nothing has been published yet. Until then, the check is not made.
    """
    from ingestion.ledger import record, verify
    from ingestion.ledger.report import as_table

    skip_unless_published()
    settings = load_settings()
    ledger = verify(settings)
    record(settings, ledger)
    say(as_table(ledger))
    ledger.require_proved()


@step
def validate_published() -> None:
    """Validate the published marts and update the Data Docs.

    Raises:
        AirflowFailException: the published marts break a rule.
    """
    from expectations import published_check

    skip_unless_published()
    report = published_check.validate_published(load_settings(), run_id())
    report_rows(report.checked_rows)
    say(report.summary())
    published_check.require_passed(report)
