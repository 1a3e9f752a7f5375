"""Read the metrics that commands leave in files: ledger.prom, backup.prom and the starts of local services.

Files in OKR_METRICS_DIR are in Prometheus' text format and are replaced atomically by their writers. One of them that
cannot be read fails the measurement, but only after the others have been read.
"""

import math
from collections.abc import Iterator
from pathlib import Path

from ingestion.sources.metrics.families import Reading
from lakehouse.errors import PermanentError

MAX_BYTES = 1_000_000
PREFIX = "okr_"


def metrics_in_files(folder: Path) -> Iterator[Reading]:
    """Yield what the files contain. Names that are not the platform's are skipped.

    Raises:
        PermanentError: a file cannot be read or is not in Prometheus' text format.
    """
    problems = []
    for path in sorted(folder.glob("*.prom")):
        try:
            yield from list(_metrics(path))
        except (OSError, ValueError) as error:
            problems.append(f"{path} ({error})")
    if problems:
        raise PermanentError(f"Expected metrics in Prometheus' text format, but cannot read {', '.join(problems)}.")


def _metrics(path: Path) -> Iterator[Reading]:
    from prometheus_client.parser import text_string_to_metric_families

    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    for family in text_string_to_metric_families(path.read_text(encoding="utf-8")):
        for sample in family.samples:
            if sample.name.startswith(PREFIX) and not math.isnan(sample.value):
                yield Reading(sample.name, sample.value, dict(sample.labels), family.documentation)
