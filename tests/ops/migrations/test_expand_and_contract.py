"""The previous release works on the new schema: nothing that it uses is removed, and its own tests pass."""

import subprocess
import sys
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
from tests.figures import report
from tests.ingestion.crash import environment_of
from tests.ops.deploy.releases import install
from tests.ops.migrations.compatibility import offered, still_used
from tests.ops.migrations.previous_release import previous_release, source, unpack, with_current_revisions
from tests.polling import until

# Tests of the previous release that read and write the schema through its own code, without other services.
ITS_TESTS = ("tests/ingestion/state/test_store.py",)


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


def test_the_previous_release_passes_its_own_tests_on_the_new_schema(previous: Path) -> None:
    with_current_revisions(previous)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *ITS_TESTS],
        cwd=previous, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
    imported = subprocess.run(
        [sys.executable, "-c", "import lakehouse; print(lakehouse.__file__)"], cwd=previous, capture_output=True,
        text=True, check=True,
    ).stdout  # fmt: skip
    assert Path(imported.strip()).is_relative_to(previous), "the tests have used this release's code"
    report(
        "The previous release on the new schema",
        ("commit", "result"),
        [(previous_release()[:12], done.stdout.strip().splitlines()[-1])],
    )
