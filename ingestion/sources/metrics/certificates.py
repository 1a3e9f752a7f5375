"""Measure when the certificates of this host end: all in OKR_CERTIFICATES_DIR, and those that settings name."""

from collections.abc import Iterator
from pathlib import Path

from ingestion.sources.metrics.families import Reading
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings

BEGIN = b"-----BEGIN CERTIFICATE-----"


def certificate_ends(settings: Settings) -> Iterator[Reading]:
    """Yield the earliest end of the certificates in each file. Files that only contain a key are skipped.

    Raises:
        PermanentError: a file cannot be read or contains no valid certificate; the others are still reported.
    """
    from cryptography import x509

    problems = []
    for file in sorted(_files(settings)):
        try:
            content = file.read_bytes()
            if BEGIN not in content:
                continue
            ends = min(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(content))
        except PermissionError:
            if "key" not in file.name:  # keys are readable only by their owners
                problems.append(f"{file}: this user may not read it; expected mode 0644")
        except (OSError, ValueError) as error:
            problems.append(f"{file}: {error}")
        else:
            yield Reading("okr_certificate_expiry_timestamp_seconds", ends.timestamp(), {"file": str(file)})
    if problems:
        raise PermanentError(f"Expected certificates in PEM format. {'; '.join(problems)}.")


def _files(settings: Settings) -> set[Path]:
    folder = settings.certificates_dir
    named = (settings.ca_file, settings.client_certificate, settings.metrics_certificate)
    found = {path for pattern in ("*.pem", "*.crt") for path in folder.glob(pattern)}
    return found | {Path(name) for name in named if name and Path(name).is_file()}
