"""Secrets and personal data that reach a log line all the same are removed from it."""

import base64

import pytest

from lakehouse.log_records.redaction import Redactor, own_secrets
from tests.lakehouse.log_records.test_json_lines import lines_of

SECRET = "hunter2-hunter3"
LEAKS = [
    f"postgresql://okr_loader:{SECRET}@db:5432/okr is not reachable",
    # skene #93: libpq repeats a malformed connection string, here with one slash, completely
    f'missing "=" after "postgresql:/alice:{SECRET}@localhost:5432/okr" in connection info string',
    f"postgresql+asyncpg://alice:{SECRET}@db/okr",
    f"redis://:{SECRET}@127.0.0.1:6379/0",
    f"postgresql://alice:{SECRET}@ssw@rd@db/okr",
    f"host=db password={SECRET} user=a",
    f"host=db password='{SECRET} x' user=a",
    f'{{"password": "{SECRET}"}}',
    f"Authorization: Bearer {SECRET}",
    f"authorization: Basic {base64.b64encode(SECRET.encode()).decode()}",
    f"token={SECRET}&x=1",
    f"sasl.password={SECRET}",
    f"X-API-Key: {SECRET}",
    f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
    f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
    f'duplicate key value\nDETAIL:  Key (name)=({SECRET}) already exists.',
    f"COPY failed\nCONTEXT:  COPY objective, line 3: \"{SECRET}\"",
    f"(psycopg.errors.X) [SQL: INSERT] [parameters: {{'name': '{SECRET}'}}]",
    f"1 validation error\nname\n  Bad [type=x, input_value='{SECRET}', input_type=str]",
    f"unknown user {SECRET}@example.org",
]  # fmt: skip


@pytest.mark.parametrize("text", LEAKS)
def test_forms_in_which_libraries_repeat_secrets_and_rows_are_masked(text: str) -> None:
    redactor = Redactor()
    assert redactor.is_suspicious(text.encode())
    assert SECRET not in redactor.text(text)
    assert "***" in redactor.text(text)


def test_text_without_secrets_is_left_as_it_is() -> None:
    redactor = Redactor(["", "short"])
    for text in (
        "https://example.org/path?x=1", "127.0.0.1:5432", "a short text", "landed 3 rows of okr_user_events@17",
        "GET /v1/key-results", "2026-11-29T12:00:00Z", "postgresql://db:5432/okr", "tokens: none left",
    ):  # fmt: skip
        assert redactor.text(text) == text


def test_the_secrets_of_the_process_are_known(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    (tmp_path / "okr_jwt_secret").write_text("from-a-credential\n", encoding="utf-8")
    (tmp_path / "file").write_text("from-a-named-file\n", encoding="utf-8")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    monkeypatch.setenv("OKR_METRICS_TOKEN_FILE", str(tmp_path / "file"))
    monkeypatch.setenv("OKR_DSN_LOADER", "postgresql://okr_loader:with%40at-sign@127.0.0.1/okr")
    monkeypatch.setenv("OKR_LAKE_URI", "/var/lib/okr/lake")
    monkeypatch.setenv("OKR_PROXY_KEY", "/etc/okr/tls/key.pem")
    known = set(own_secrets())
    assert {"from-a-credential", "from-a-named-file", "with%40at-sign", "with@at-sign"} <= known
    assert not any(part in each for each in known for part in ("127.0.0.1", "/lake", "key.pem"))


def test_no_planted_value_reaches_a_log() -> None:
    """In events, values, nested values, exceptions, records of libraries, warnings and uncaught exceptions."""
    planted = ["jwt-planted-1234", 'quo"ted\\planted', "planted.person@example.org", "dsn-planted-5678"]
    code = f"""
log, values = get_logger("m"), {planted!r}
for value in values:
    log.info("a " + value, value=value, nested={{"x": [value]}}, other=(value,), password="planted")
    try:
        raise ValueError(value) from KeyError(value)
    except ValueError:
        log.exception("failed")
        logging.exception("failed too")
    warnings.warn(value)
    t = threading.Thread(target=lambda: (_ for _ in ()).throw(ValueError(value)))
    t.start(); t.join()
log.error("cannot connect", error="postgresql://u:other-planted@db/okr")
raise RuntimeError(" ".join(values))
"""
    lines = lines_of(
        code, status=1, OKR_JWT_SECRET=planted[0], OKR_ADMIN_PASSWORD=planted[1],
        OKR_DSN_LOADER=f"postgresql://u:{planted[3]}@db/okr",
    )  # fmt: skip
    assert len(lines) == 5 * len(planted) + 2
    text = "\n".join(repr(line) for line in lines)
    # Tracebacks quote lines of code, none of which exist for `python -c`.
    for value in (*planted, "other-planted", "planted.person"):
        assert value not in text
        assert repr(value)[1:-1] not in text
    assert lines[0]["password"] == "***"
