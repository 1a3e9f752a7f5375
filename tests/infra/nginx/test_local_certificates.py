"""The certificates of `okr up --tls`: for this host only, renewed in time, and readable only by their owner."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from infra.local import certificates as module
from infra.local.certificates import ensure_certificates
from infra.nginx.certificates import check_certificate
from lakehouse.errors import PermanentError


def serials(folder: Path) -> tuple[int, int]:
    return tuple(  # type: ignore[return-value]
        x509.load_pem_x509_certificate((folder / f"{name}.pem").read_bytes()).serial_number for name in ("ca", "server")
    )


def test_certificates_are_valid_for_this_host_and_kept(tmp_path: Path) -> None:
    ensure_certificates(tmp_path)
    first = serials(tmp_path)
    ensure_certificates(tmp_path)
    assert serials(tmp_path) == first
    for host in ("127.0.0.1", "localhost"):
        assert check_certificate(tmp_path / "server.pem", tmp_path / "server-key.pem", host) > datetime.now(UTC)
    with pytest.raises(PermanentError, match=r"not for okr.example.org"):
        check_certificate(tmp_path / "server.pem", tmp_path / "server-key.pem", "okr.example.org")
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.pem").read_bytes())
    permitted = authority.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees
    assert [str(each.value) for each in permitted or ()] == ["localhost", "127.0.0.0/8"]


@pytest.mark.parametrize("lost", ["server.pem", "server-key.pem", "ca.pem", "ca-key.pem"])
def test_a_lost_or_damaged_file_is_replaced_with_what_depends_on_it(tmp_path: Path, lost: str) -> None:
    ensure_certificates(tmp_path)
    (tmp_path / lost).unlink()
    ensure_certificates(tmp_path)
    (tmp_path / "server.pem").write_text("damaged")
    ensure_certificates(tmp_path)
    check_certificate(tmp_path / "server.pem", tmp_path / "server-key.pem", "localhost")
    issued, authority = (
        x509.load_pem_x509_certificate((tmp_path / name).read_bytes()) for name in ("server.pem", "ca.pem")
    )
    issued.verify_directly_issued_by(authority)


def test_a_certificate_that_ends_within_a_month_is_renewed_by_the_same_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as short:
        short.setattr(module, "SERVER_LIFE", timedelta(days=29))
        ensure_certificates(tmp_path)
    authority, server = serials(tmp_path)
    ensure_certificates(tmp_path)
    assert serials(tmp_path)[0] == authority
    assert serials(tmp_path)[1] != server
