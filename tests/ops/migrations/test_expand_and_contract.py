"""The previous release works on the new schema: nothing that it uses is removed, its API and consumer run."""

import subprocess
from pathlib import Path

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from infra.local.ports import choose
from infra.migrations.migrate import migrate
from infra.migrations.revert import revert
from infra.migrations.revisions import can_be_reverted, is_contract, scripts
from lakehouse.settings import Settings
from tests.ingestion.crash import environment_of
from tests.ops.deploy.releases import install
from tests.ops.migrations.compatibility import offered, still_used
from tests.ops.migrations.previous_release import previous_release, source, unpack
from tests.polling import until

# Run with the packages of the previous release. It prints where they are.
STATE_CONSUMER = """
from datetime import UTC, datetime
import ingestion
from ingestion.batch import Span
from ingestion.contract_validation import decode, encode
from ingestion.state.store import StateStore
from lakehouse.contracts.check_in import CheckInRecorded
from lakehouse.settings import load_settings
from lakehouse.warehouse import connect

at = datetime(2026, 1, 5, tzinfo=UTC)
event = encode(CheckInRecorded(check_in_id="c1", key_result_id="k1", value=4.0), at=at, source="test")
decoded = decode(event.topic, event.value, event.key)
frame = decoded.envelope
row = {
    "event_type": frame.type, "subject": frame.subject, "event_id": str(frame.id), "data": decoded.data,
    "kafka_partition": 0, "kafka_offset": 0, "occurred_at": frame.time, "logged_at": at,
}
with connect(load_settings().require("dsn_loader"), autocommit=True) as loader:
    StateStore(loader, "cluster", "group").apply(event.topic, [row], {0: Span(None, 1)})
print(ingestion.__file__)
"""


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of the previous release."""
    folder = tmp_path_factory.mktemp("previous")
    unpack(previous_release(), folder)
    return folder


def test_a_revision_removes_nothing_unless_it_contracts_what_the_previous_release_no_longer_uses(
    fresh_database: Settings, previous: Path
) -> None:
    dsn = fresh_database.require("dsn_owner")
    revisions = []
    for script in scripts().walk_revisions():
        if not can_be_reverted(script):
            revert(dsn, script.revision)
            break
        revisions.append(script)
    assert revisions
    used = source(previous)
    for script in reversed(revisions):
        with psycopg.connect(dsn) as connection:
            before = offered(connection)
        migrate(dsn, to=script.revision)
        with psycopg.connect(dsn) as connection:
            removed = before - offered(connection)
        if is_contract(script):
            assert still_used(removed, used) == [], f"{script.path}: the previous release still uses this"
        else:
            assert removed == set(), f"{script.path}: set `contract = True`, or keep this for one more release"


def test_removals_are_found_and_compared_with_the_source_of_the_previous_release(
    fresh_database: Settings, previous: Path
) -> None:
    with psycopg.connect(fresh_database.require("dsn_owner")) as connection:
        connection.execute("ALTER TABLE ops.ledger ADD COLUMN added_by_mistake text")
        before = offered(connection)
        connection.execute("ALTER TABLE ops.ledger DROP COLUMN landed, DROP COLUMN added_by_mistake")
        connection.execute("ALTER TABLE app.users RENAME COLUMN email TO address")
        connection.execute("ALTER TABLE raw.load_watermark ALTER COLUMN kafka_partition TYPE bigint")
        connection.execute("REVOKE SELECT ON serving.rate_plan FROM okr_serving")
        removed = before - offered(connection)
        connection.rollback()
    assert removed == {
        "ops.ledger.landed bigint",
        "ops.ledger.added_by_mistake text",
        "app.users.email text",
        "raw.load_watermark.kafka_partition integer",
        "SELECT serving.rate_plan to okr_serving",
    }
    assert set(still_used(removed, source(previous))) == removed - {"ops.ledger.added_by_mistake text"}


def test_the_api_of_the_previous_release_serves_on_the_new_schema(
    fresh_database: Settings, redis_server: Settings, previous: Path, tmp_path: Path
) -> None:
    """As during a deployment: the new release has migrated, and the previous one is started or still serves."""
    okr = install(tmp_path / "opt", "previous", source=previous) / ".venv" / "bin" / "okr"
    port = choose(set())
    settings = fresh_database.model_copy(
        update={
            "redis_url": redis_server.redis_url, "kafka_bootstrap": "127.0.0.1:1", "api_port": port,
            "mlflow_store_uri": SecretStr(f"sqlite:///{tmp_path}/mlflow.db"),
            "mlflow_artifacts": str(tmp_path / "artifacts"),
        }
    )  # fmt: skip
    environment = environment_of(settings, tmp_path / "okr")
    log = tmp_path / "serve.log"
    with log.open("wb") as output:
        process = subprocess.Popen([okr, "serve"], env=environment, stdout=output, stderr=output)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            until(lambda: _is_ready(client, process, log), "the API is ready")
            for name, password in (("app", "app_password"), ("admin", "admin_password")):
                login = {"username": name, "password": settings.require(password)}
                token = client.post("/auth/token", data=login).raise_for_status().json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            assert client.get("/admin/accounts").raise_for_status().json()["accounts"]
            account = {"username": "ada", "role": "member", "organisation_id": "org-1"}
            created = client.post("/admin/accounts", json=account, headers={"Idempotency-Key": "1"})
            assert created.status_code in (200, 201), created.text
            written = client.put("/v1/organisations/org-1", json={"name": "Planted"})
            assert written.status_code < 500, written.text
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(client: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> bool:
    assert process.poll() is None, log.read_text()[-3000:]
    try:
        return client.get("/readyz").status_code == 200
    except httpx.TransportError:
        return False


def test_the_state_consumer_of_the_previous_release_writes_to_the_new_schema(
    fresh_database: Settings, previous: Path, tmp_path: Path
) -> None:
    python = install(tmp_path / "opt", "previous", source=previous) / ".venv" / "bin" / "python"
    done = subprocess.run(
        [python, "-I", "-c", STATE_CONSUMER], env=environment_of(fresh_database, tmp_path / "okr"), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).resolve().is_relative_to(previous.resolve()), (
        "it has used the code of this release"
    )
    with psycopg.connect(fresh_database.require("dsn_owner")) as connection:
        assert connection.execute("SELECT check_in_id, value FROM app.check_ins").fetchall() == [("c1", 4.0)]
