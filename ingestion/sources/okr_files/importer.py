"""Import a folder of OKR files: read and validate the rows, send or spool the events, account for every row."""

from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from ingestion.contract_validation import EncodedEvent
from ingestion.sources.okr_files.csv_format import CHECK_INS, FILE_FAULTS, KEY_RESULTS
from ingestion.sources.okr_files.event_order import history_facts
from ingestion.sources.okr_files.rejected_rows_file import RejectedRows
from ingestion.sources.okr_files.row_to_events import SOURCE, encode_fact
from ingestion.sources.okr_files.row_validation import History, read_history
from ingestion.sources.okr_files.sent_facts import SentFacts, sent_facts
from ingestion.spool import Drainer, Spool, SpoolFullError
from lakehouse.errors import PermanentError, RetryableError
from lakehouse.kafka_connection import KafkaConnection
from lakehouse.logs import get_logger
from lakehouse.settings import Settings

log = get_logger(__name__)

CONNECT_SECONDS = 10.0  # time limit for connecting to the broker; after that, events are spooled
MAX_REJECTED_SHARE = 0.1  # of a file's rows; if more are rejected, the file as a whole is probably wrong
DRAIN_SECONDS = 60.0  # time limit for sending events that an earlier import left in the spool


@dataclass(frozen=True)
class ImportReport:
    """The result of an import, which accounts for each row of the folder.

    `sent` counts, by topic, the events that the broker has accepted, and `spooled` those that are waiting on this
    host's disk. Both include the definitions of organisations, teams, users, cycles and objectives.
    """

    folder: Path
    history: History
    rejected: RejectedRows
    sent: Counter[str] = field(default_factory=Counter)
    spooled: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain values."""
        return {
            "folder": str(self.folder),
            "rows": {file: self._rows(file, used) for file, used in self._used().items()},
            "rejected_by_reason": dict(self.rejected.by_reason),
            "rejected_first": [
                {"file": row.file, "line": row.line, "reason": row.reason, "message": row.message}
                for row in self.rejected.first
            ],
            "rejected_kinds": [
                {"file": kind.file, "reason": kind.reason, "rows": kind.count, "examples": kind.messages}
                for kind in self.rejected.kinds()
            ],
            "rejected_rows_file": str(self.rejected.path),
            "notes": self.history.notes,
            "ignored_columns": {file: list(columns) for file, columns in self.history.ignored_columns.items()},
            "sent": dict(self.sent),
            "spooled": dict(self.spooled),
        }

    def as_lines(self) -> list[str]:
        """Return the report as lines of text."""
        lines = []
        for file, used in self._used().items():
            rows = self._rows(file, used)
            lines.append(f"{file}: {rows['read']} rows read = {rows['used']} used + {rows['rejected']} rejected")
        for file, columns in self.history.ignored_columns.items():
            lines.append(f"{file}: ignored columns: {', '.join(columns)}")
        for file, notes in self.history.notes.items():
            lines += [f"{file}: {note}" for note in notes]
        lines += self.rejected.as_lines()
        if self.rejected.count:
            lines.append(f"All {self.rejected.count.total()} rejected rows are listed in {self.rejected.path}")
        return lines + self.sent_lines()

    def sent_lines(self) -> list[str]:
        """Return the numbers of events sent and spooled, as lines of text."""
        lines = [f"sent to {topic}: {count} events" for topic, count in sorted(self.sent.items())]
        if self.spooled:
            lines.append(
                f"Not sent yet: {self.spooled.total()} events are waiting in the spool on this host's disk. "
                "`okr produce metrics` or `okr produce spool drain` sends them when the broker is available again."
            )
        return lines

    def obstacle(self) -> str | None:
        """Return the reason why the history must not be sent without --accept-rejects, or None."""
        faults = sorted(FILE_FAULTS & self.rejected.by_reason.keys())
        if faults:
            return f"Rows may have been misread because of a fault in the file format ({', '.join(faults)})"
        for file, used in self._used().items():
            rows = self._rows(file, used)
            if rows["rejected"] > MAX_REJECTED_SHARE * rows["read"]:
                share = f"{MAX_REJECTED_SHARE:.0%}"
                return f"{rows['rejected']} of {rows['read']} rows of {file} were rejected, more than {share}"
        return None

    def _used(self) -> dict[str, int]:
        return {KEY_RESULTS.name: len(self.history.key_results), CHECK_INS.name: len(self.history.check_ins)}

    def _rows(self, file: str, used: int) -> dict[str, int]:
        return {"read": self.history.rows_read[file], "used": used, "rejected": self.rejected.count[file]}


def read_folder(folder: Path, *, state: Path, now: datetime) -> tuple[History, RejectedRows]:
    """Read a folder and write rejected rows to `<state>/rejected_rows.csv`. Nothing is sent.

    Raises:
        PermanentError: the folder, a file or the state folder cannot be used.
        ContractViolation: a header is missing or wrong.
    """
    with RejectedRows(state) as rejected:
        history = read_history(folder, now=now, reject=rejected.add)
    return history, rejected


def check_usable(report: ImportReport) -> None:
    """Check that at least one key result can be imported.

    Raises:
        PermanentError: every key result was rejected.
    """
    if not report.history.key_results:
        raise PermanentError(
            f"{report.folder / KEY_RESULTS.name}: none of its {report.history.rows_read[KEY_RESULTS.name]} rows is "
            f"valid, so there is nothing to import; rejected rows are listed in {report.rejected.path}."
        )


def check_would_be_sent(report: ImportReport, obstacle: str | None) -> None:
    """Check that the history could be sent without --accept-rejects.

    Raises:
        PermanentError: the history could not be sent.
    """
    check_usable(report)
    if obstacle:
        raise PermanentError(
            f"{obstacle}. Nothing would be sent: correct the files, or send the valid rows with --accept-rejects."
        )


def deliver(history: History, settings: Settings) -> tuple[Counter[str], Counter[str]]:
    """Send a history, or spool all of it if the broker is unavailable; return the events sent and spooled, by topic.

    Events that an earlier import left in the spool are sent first. Some events may be sent twice, which has no effect,
    because each event id counts once.

    Raises:
        SpoolFullError: the spool has no space for all events, so none was stored, or it cannot delete sent events.
        RetryableError: another import of this state folder is running.
    """
    from ingestion.producer import EventProducer

    kafka = KafkaConnection.of(settings)
    with closing(Spool.of(settings, SOURCE)) as spool, sent_facts(settings.state) as facts:
        try:
            with EventProducer(kafka, client_id=SOURCE, connect_seconds=CONNECT_SECONDS) as producer:
                if _is_drained(spool, kafka):
                    return send_history(history, producer.send, facts), Counter()
        except SpoolFullError:
            raise
        except RetryableError as error:
            log.warning("the broker is unavailable; spooling the events", reason=str(error))
        events = [encode_fact(data, at, facts.revision(data, at)) for at, data in history_facts(history)]
        spool.append(events)
        return Counter(), Counter(event.topic for event in events)


def _is_drained(spool: Spool, kafka: KafkaConnection) -> bool:
    if not spool.state().waiting:
        return True
    with closing(Drainer(spool, kafka)) as drainer:
        return drainer.drain(DRAIN_SECONDS).is_empty


def send_history(history: History, send: Callable[[EncodedEvent], None], facts: SentFacts) -> Counter[str]:
    """Send a history in chronological order; return the number of events by topic."""
    sent: Counter[str] = Counter()
    for at, data in history_facts(history):
        event = encode_fact(data, at, facts.revision(data, at))
        send(event)
        sent[event.topic] += 1
    return sent
