"""Metrics that commands leave in files, and the certificates of the host."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.certificates.issue import Request, new_authority, new_certificate, read_issuer
from ingestion.sources.metrics.certificates import certificate_ends
from ingestion.sources.metrics.families import Reading
from ingestion.sources.metrics.metric_files import metrics_in_files
from lakehouse.errors import PermanentError
from lakehouse.settings import Settings


def test_files_are_read_and_one_that_is_damaged_does_not_hide_the_others(tmp_path: Path) -> None:
    (tmp_path / "a.prom").write_text("okr_ledger_passed 1\n")
    (tmp_path / "b.prom").write_text("okr_ledger_passed{ 1\n")
    (tmp_path / "c.prom").write_text(
        '# HELP okr_x Text.\n# TYPE okr_x gauge\nokr_x{part="lake"} 5\nother 2\nokr_nan NaN\n'
    )
    readings, found = metrics_in_files(tmp_path), []
    found += [next(readings), next(readings)]
    with pytest.raises(PermanentError, match=r"b\.prom"):
        next(readings)
    assert found == [Reading("okr_ledger_passed", 1.0), Reading("okr_x", 5.0, {"part": "lake"}, "Text.")]
    assert list(metrics_in_files(tmp_path / "missing")) == []


def test_a_file_without_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "big.prom").write_text("okr_x 1\n" * 200_000)
    with pytest.raises(PermanentError, match="more than 1,000,000 bytes"):
        list(metrics_in_files(tmp_path))


def test_the_earliest_end_in_each_file_is_reported_and_keys_are_not_read(tmp_path: Path) -> None:
    new_authority(tmp_path / "ca.pem", tmp_path / "ca-key.pem", "Test", timedelta(days=900))
    issuer = read_issuer(tmp_path / "ca.pem", tmp_path / "ca-key.pem")
    server = tmp_path / "server.pem"
    new_certificate(server, tmp_path / "server-key.pem", issuer, Request("s", ("h",)), timedelta(days=30))
    server.write_bytes(server.read_bytes() + (tmp_path / "ca.pem").read_bytes())
    settings = Settings(certificates_dir=tmp_path, ca_file=str(tmp_path / "ca.pem"))
    found = {Path(each.labels["file"]).name: each.value for each in certificate_ends(settings)}
    days = {name: round((value - datetime.now(UTC).timestamp()) / 86_400) for name, value in found.items()}
    assert days == {"ca.pem": 900, "server.pem": 30}
    (tmp_path / "broken.pem").write_text("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
    with pytest.raises(PermanentError, match=r"Expected certificates in PEM format.*broken\.pem"):
        list(certificate_ends(settings))
