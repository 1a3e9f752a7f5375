"""The marts are the same as without encryption, and the API shows personal fields to those who see the rows."""

import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from infra.local.stack import Stack
from ingestion.loading.direct import COLUMNS, copy_into_raw
from ingestion.personal_field_encryption import FieldEncryption
from ingestion.state.consumer import consume_state
from lakehouse.field_encryption import destroy_keys
from lakehouse.field_encryption.decryption import ERASED, Decryption, PersonalColumn
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.databases import NewDatabase
from tests.dbt_process import run_dbt
from tests.figures import report
from tests.ops.field_encryption.conftest import new_key, with_keys
from tests.serving import published_organisation
from tests.serving.check_in_requests import accepted, post, put, word
from tests.serving.live_server import Api, serving
from tests.serving.published_organisation import build_and_publish, publish, simulated
from tests.serving.writes.definitions import new_organisation, write

PERSONAL = {
    "dim_user": {"name": PersonalColumn("user.name", "user_id"), "email": PersonalColumn("user.email", "user_id")},
    "fct_check_in": {"note": PersonalColumn("check_in.note", "check_in_id")},
    "fct_check_in_version": {"note": PersonalColumn("check_in.note", "check_in_id")},
    "dim_key_result": {"archived_note": PersonalColumn("key_result.reason", "key_result_id")},
    "dim_objective": {"archived_note": PersonalColumn("objective.reason", "objective_id")},
}
UNKNOWN = "?allow_unknown=true"
ORDER = f"SELECT {', '.join(COLUMNS)} FROM raw.okr_user_events ORDER BY kafka_partition, kafka_offset"


@dataclass(frozen=True)
class Pair:
    """The same organisation, published in two warehouses, and the seconds that dbt and publishing took in each."""

    plain: Settings
    encrypted: Settings
    plain_s: float
    encrypted_s: float


@pytest.fixture(scope="module")
def pair(new_database: NewDatabase, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    target = tmp_path_factory.mktemp("dbt")
    with new_database() as plain, new_database() as other:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(published_organisation, "build_and_publish", lambda *_: None)
            publish(plain, simulated(), target)  # only copies the events into raw
        encrypted = with_keys(other, new_key())
        _copy_encrypted(plain, encrypted)
        run_dbt(plain, target, "list", "--select", "stg_user")  # parses the project, which is not measured
        seconds = []
        for settings in (plain, encrypted):
            started = time.perf_counter()
            build_and_publish(settings, target)
            seconds.append(time.perf_counter() - started)
        yield Pair(plain, encrypted, *seconds)


def _copy_encrypted(plain: Settings, encrypted: Settings) -> None:
    """Copy raw to another warehouse, with the data of user events encrypted as landing does."""
    keys = open_data_keys(encrypted)
    assert keys is not None
    with connect(plain.require("dsn_loader")) as connection:
        for topic in ("okr_system_metrics", "okr_data_pipeline", "okr_ai_predictions"):
            rows = connection.execute(ORDER.replace("okr_user_events", topic).encode()).fetchall()
            copy_into_raw(encrypted, topic, ((*row[:-1], json.dumps(row[-1])) for row in rows))
        rows = connection.execute(ORDER.encode()).fetchall()
    event_type = COLUMNS.index("event_type")
    data = FieldEncryption(keys).data([(str(row[event_type]), json.dumps(row[-1])) for row in rows])
    copy_into_raw(encrypted, "okr_user_events", ((*row[:-1], text) for row, text in zip(rows, data, strict=True)))


@pytest.fixture(scope="module")
def encrypting_api(
    pair: Pair, redis_server: Settings, kafka: Settings, test_stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("registry")
    registry = {
        "mlflow_store_uri": SecretStr(f"sqlite:///{folder}/mlflow.db"), "mlflow_artifacts": str(folder / "artifacts"),
        "sites_dir": folder / "sites", "state": folder,
    }  # fmt: skip
    with serving(pair.encrypted.model_copy(update=registry)) as api:
        yield api


@pytest.fixture(scope="module")
def headers(encrypting_api: Api) -> dict[str, str]:
    return encrypting_api.headers("app")


def rows_of(settings: Settings, mart: str) -> list[dict[str, Any]]:
    with connect(settings.require("dsn_transform")) as connection:
        cursor = connection.execute(f"SELECT to_jsonb(mart) FROM marts.{mart} AS mart".encode())
        return [dict(row) for (row,) in cursor.fetchall()]  # type: ignore[call-overload]


def test_the_marts_differ_only_in_personal_columns(pair: Pair) -> None:
    with connect(pair.plain.require("dsn_transform")) as connection:
        marts = [
            str(name) for (name,) in connection.execute("SELECT viewname FROM pg_views WHERE schemaname = 'marts'")
        ]
    assert set(marts) >= PERSONAL.keys()
    decryption = Decryption(open_data_keys(pair.encrypted))
    for mart in set(marts) - {"publication"}:
        plain, encrypted = rows_of(pair.plain, mart), rows_of(pair.encrypted, mart)
        columns = PERSONAL.get(mart, {})
        if mart in {"dim_user", "fct_check_in", "fct_check_in_version"}:
            assert any(str(row[name]).startswith("enc1:") for row in encrypted for name in columns)
        decryption.rows(encrypted, columns)
        assert sorted(map(repr, plain)) == sorted(map(repr, encrypted)), mart
    report(
        "Field encryption: dbt and publication",
        ["", "seconds", "ratio"],
        [
            ["without encryption", f"{pair.plain_s:.1f}", "1.00"],
            ["with encryption", f"{pair.encrypted_s:.1f}", f"{pair.encrypted_s / pair.plain_s:.2f}"],
        ],
        "The small simulated organisation; one full build each.",
    )


def test_an_analyst_reads_encrypted_values(pair: Pair) -> None:
    with connect(pair.encrypted.require("dsn_analyst")) as connection:
        found = connection.execute("SELECT name, email FROM marts.dim_user").fetchall()
    assert found
    assert all(str(value).startswith("enc1:") for row in found for value in row)


def listed(api: Api, headers: dict[str, str], path: str, rows: str) -> dict[str, Any]:
    answer = api.client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return {str(next(iter(row.values()))): row for row in answer.json()[rows]}


def test_the_lists_and_exports_show_personal_fields(pair: Pair, encrypting_api: Api, headers: dict[str, str]) -> None:
    names = {row["user_id"]: row["name"] for row in rows_of(pair.plain, "dim_user") if row["is_current"]}
    users = listed(encrypting_api, headers, "/v1/users?limit=100&deactivated=true", "users")
    assert users
    assert all(row["name"] == names[user_id] for user_id, row in users.items())
    only_names = encrypting_api.client.get("/v1/users?limit=5&fields=name&sort=name", headers=headers).json()
    assert all(set(row) == {"name"} and row["name"] in names.values() for row in only_names["users"])
    second = encrypting_api.client.get(
        "/v1/users", params={"limit": 5, "fields": "name", "sort": "name", "cursor": only_names["next_cursor"]},
        headers=headers,
    ).json()  # fmt: skip
    assert not {row["name"] for row in second["users"]} & {row["name"] for row in only_names["users"]}
    notes = {row["check_in_id"]: row["note"] for row in rows_of(pair.plain, "fct_check_in")}
    exported = encrypting_api.client.get("/v1/check-ins?format=csv&fields=check_in_id,note", headers=headers).text
    lines = dict(list(csv.reader(io.StringIO(exported)))[1:])
    assert lines == {check_in_id: note or "" for check_in_id, note in notes.items()}


def test_the_page_of_a_key_result_shows_notes(pair: Pair, encrypting_api: Api) -> None:
    noted = next(row for row in rows_of(pair.plain, "fct_check_in") if row["note"] and row["cycle_id"])
    encrypting_api.log_in("admin")
    page = encrypting_api.client.get(f"/key-results/{noted['key_result_id']}", params={"cycle": noted["cycle_id"]})
    encrypting_api.client.cookies.clear()
    assert page.status_code == 200, page.text
    assert noted["note"] in page.text
    assert "enc1:" not in page.text


def test_what_the_api_stores_is_encrypted_and_repeats_get_the_first_response(
    encrypting_api: Api, headers: dict[str, str]
) -> None:
    suffix = word()
    accepted(write(encrypting_api, headers, new_organisation(suffix)))
    body = {"user_id": f"other-{suffix}", "name": f"Name {suffix}", "email": f"x-{suffix}@example.org"}
    keyed = {**headers, "Idempotency-Key": suffix}
    first = encrypting_api.client.post("/v1/users", json=body, headers=keyed)
    accepted(first)
    again = encrypting_api.client.post("/v1/users", json=body, headers=keyed)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    differing = encrypting_api.client.post("/v1/users", json=body | {"name": "Other"}, headers=keyed)
    assert differing.status_code == 409
    assert differing.json()["differs"][0]["first"]["data"]["name"] == body["name"]
    read = encrypting_api.client.get(f"/v1/users/other-{suffix}/definition", headers=headers)
    assert read.json()["data"] == body
    with connect(encrypting_api.settings.require("dsn_owner")) as connection:
        for table in ("serving.write_request", "serving.written_event"):
            query = f"SELECT count(*) FROM {table} AS stored WHERE stored::text LIKE %s"
            for text in (f"Name {suffix}", f"x-{suffix}@example.org", "Hm."):
                assert connection.execute(query.encode(), [f"%{text}%"]).fetchone() == (0,), (table, text)


def test_a_check_in_is_stored_encrypted_and_recognised_again(encrypting_api: Api, headers: dict[str, str]) -> None:
    suffix = word()
    body = {"key_result_id": f"kr-{suffix}", "check_in_id": f"own-{suffix}", "value": 30.0, "note": f"note {suffix}"}
    first = accepted(post(encrypting_api, headers, body, query=UNKNOWN))
    assert post(encrypting_api, headers, body, query=UNKNOWN).headers["idempotent-replayed"] == "true"
    assert post(encrypting_api, headers, body | {"note": "another"}, query=UNKNOWN).status_code == 409
    with connect(encrypting_api.settings.require("dsn_owner"), autocommit=True) as connection:
        query = "SELECT count(*) FROM api.check_in_request AS stored WHERE stored::text LIKE %s"
        assert connection.execute(query, [f"%note {suffix}%"]).fetchone() == (0,)
        # Once the request has expired, the event in the log answers its repeat.
        consume_state(_with_redis(encrypting_api.settings), threading.Event(), drain=True)
        connection.execute("DELETE FROM api.check_in_request WHERE check_in_id = %s", [f"own-{suffix}"])
    assert accepted(post(encrypting_api, headers, body, query=UNKNOWN))["event_id"] == first["event_id"]
    assert post(encrypting_api, headers, body | {"note": "another"}, query=UNKNOWN).status_code == 409
    changed = {"value": 31.0, "note": f"corrected {suffix}"}
    accepted(put(encrypting_api, headers, f"own-{suffix}", changed))
    assert put(encrypting_api, headers, f"own-{suffix}", changed).headers["idempotent-replayed"] == "true"


def test_a_repeat_after_an_erasure_gets_the_first_response(encrypting_api: Api, headers: dict[str, str]) -> None:
    suffix, dsn = word(), encrypting_api.settings.require("dsn_owner")
    accepted(write(encrypting_api, headers, new_organisation(suffix)))
    user = {"user_id": f"gone-{suffix}", "name": f"Name {suffix}", "email": f"y-{suffix}@example.org"}
    keyed = {**headers, "Idempotency-Key": f"user-{suffix}"}
    first = encrypting_api.client.post("/v1/users", json=user, headers=keyed)
    accepted(first)
    check_in = {"key_result_id": f"kr-{suffix}", "check_in_id": f"c-{suffix}", "value": 3.0, "note": f"note {suffix}"}
    recorded = accepted(post(encrypting_api, headers, check_in, query=UNKNOWN))
    destroy_keys.destroy(dsn, [f"user:gone-{suffix}", f"key_result:kr-{suffix}"])
    again = encrypting_api.client.post("/v1/users", json=user, headers=keyed)
    assert (again.json(), again.headers["idempotent-replayed"]) == (first.json(), "true")
    repeated = post(encrypting_api, headers, check_in, query=UNKNOWN)
    assert accepted(repeated)["event_id"] == recorded["event_id"]
    assert repeated.headers["idempotent-replayed"] == "true"
    # What was not erased is still compared.
    assert encrypting_api.client.post("/v1/users", json=user | {"user_id": "other"}, headers=keyed).status_code == 409
    assert post(encrypting_api, headers, check_in | {"value": 4.0}, query=UNKNOWN).status_code == 409


def _with_redis(settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_state_url": settings.redis_state_url or settings.redis_url})


def test_after_a_persons_key_is_destroyed_the_api_shows_that_they_were_erased(
    pair: Pair, encrypting_api: Api, headers: dict[str, str]
) -> None:
    users = listed(encrypting_api, headers, "/v1/users?limit=100", "users")
    erased, kept = list(users)[:2]
    destroy_keys.destroy(pair.encrypted.require("dsn_owner"), [f"user:{erased}"])
    shown = listed(encrypting_api, headers, "/v1/users?limit=100", "users")
    assert (shown[erased]["name"], shown[kept]["name"]) == (ERASED, users[kept]["name"])


def test_without_the_key_the_api_shows_that_values_are_encrypted(
    pair: Pair, encrypting_api: Api, tmp_path: Path
) -> None:
    settings = encrypting_api.settings.model_copy(update={"field_encryption_key": SecretStr(""), "state": tmp_path})
    with serving(settings) as api:
        answer = api.client.get("/v1/users?limit=3", headers=api.headers("app"))
        assert [row["name"] for row in answer.json()["users"]] == ["(encrypted)"] * 3
