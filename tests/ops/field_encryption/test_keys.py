"""Keys are created once for all workers, rotated while events land, and destroyed for good."""

import json
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from infra.local.stack import Stack
from ingestion.landing.consumer import land
from lakehouse.errors import NotPossible, PermanentError, RetryableError
from lakehouse.field_encryption import count_keys, destroy_keys, rotate_keys
from lakehouse.field_encryption.data_keys import DataKeys
from lakehouse.field_encryption.decryption import ERASED
from lakehouse.field_encryption.key_file import KeyFile
from lakehouse.field_encryption.open_keys import open_data_keys
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from tests.ingestion.crash import environment_of
from tests.okr_command import OKR
from tests.ops.field_encryption.conftest import Send, check_in, new_key, organisation, planted, user, with_keys
from tests.ops.field_encryption.reading import checkpoint, drain, lake_rows, personal_texts, raw_rows

PRODUCTION = {"OKR_ENVIRONMENT": "production"}


def okr(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the `okr` command with these settings."""
    return subprocess.run(
        [OKR, *arguments], env=environment_of(settings), capture_output=True, text=True, timeout=60, check=False
    )


def keys_of(settings: Settings) -> DataKeys:
    keys = open_data_keys(settings)
    assert keys is not None
    return keys


def texts(settings: Settings) -> list[str]:
    return sorted({text for row in personal_texts(settings, raw_rows(settings)) for text in row.values()})


def test_concurrent_workers_create_one_key_per_person(encrypted: Settings) -> None:
    owners = [f"user:{number}" for number in range(200)]
    workers = [keys_of(encrypted) for _ in range(8)]
    start = threading.Barrier(len(workers))

    def create(number: int) -> dict[str, bytes | None]:
        start.wait()
        mixed = owners[number * 20 :] + owners[: number * 20]
        return {owner: key.secret for owner, key in workers[number].of_owners(mixed).items()}

    with ThreadPoolExecutor(len(workers)) as threads:
        found = list(threads.map(create, range(len(workers))))
    assert all(each == found[0] for each in found)
    assert len(set(found[0].values())) == len(owners)
    assert sum(count.keys for count in count_keys.key_counts(encrypted.require("dsn_loader"))) == len(owners)


def test_an_event_that_is_read_again_has_the_same_values(encrypted: Settings, send: Send) -> None:
    events = planted("Ada")
    send(*events, *events)
    drain(encrypted)
    by_event: dict[str, set[str]] = {}
    for row in lake_rows(encrypted):
        by_event.setdefault(row["event_id"], set()).add(row["data"])
    assert len(by_event) == len(events)
    assert all(len(versions) == 1 for versions in by_event.values())
    again = encrypted.model_copy(update={"lake_uri": f"{encrypted.lake_uri}-again"})
    land(again, threading.Event(), drain=True)
    assert [row["data"] for row in lake_rows(again)] == [row["data"] for row in lake_rows(encrypted)]


def test_rotation_while_events_land_changes_no_value_and_loses_none(encrypted: Settings, send: Send) -> None:
    old, new = encrypted.field_encryption_key.get_secret_value(), new_key()
    both = with_keys(encrypted, new, old)
    stop, landed = threading.Event(), []
    events = [check_in(number, f"note {number}", user_id=f"u{number % 60}") for number in range(300)]
    send(*events[:100])
    land(encrypted, threading.Event(), drain=True)
    landing = threading.Thread(target=lambda: landed.append(land(both, stop)))
    landing.start()
    for start in range(100, 300, 20):
        send(*events[start : start + 20])
    while len(lake_rows(encrypted)) < 300:
        assert landing.is_alive()
        rotate_keys.rotate(encrypted.require("dsn_owner"), KeyFile(f"{new}\n{old}"))
    stop.set()
    landing.join()
    rotate_keys.rotate(encrypted.require("dsn_owner"), KeyFile(f"{new}\n{old}"))
    only_new = with_keys(encrypted, new)
    drain(only_new)
    assert texts(only_new) == sorted(f"note {number}" for number in range(300))
    assert {count.kek_id for count in count_keys.key_counts(encrypted.require("dsn_loader"))} == {
        KeyFile(new).current_id
    }


def test_a_rotation_that_is_interrupted_is_completed_by_the_next_one(
    encrypted: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys_of(encrypted).of_owners([f"user:{number}" for number in range(25)])
    monkeypatch.setattr(rotate_keys, "BATCH_KEYS", 10)
    old, new = encrypted.field_encryption_key.get_secret_value(), new_key()
    wraps = KeyFile(f"{new}\n{old}")
    wrap, calls = wraps.wrap, []

    def interrupted(*arguments: bytes) -> bytes:
        calls.append(1)
        if len(calls) == 15:
            raise KeyboardInterrupt
        return wrap(*arguments)

    monkeypatch.setattr(wraps, "wrap", interrupted)
    with pytest.raises(KeyboardInterrupt):
        rotate_keys.rotate(encrypted.require("dsn_owner"), wraps)
    counts = {each.kek_id: each.keys for each in count_keys.key_counts(encrypted.require("dsn_loader"))}
    assert counts == {KeyFile(old).current_id: 15, KeyFile(new).current_id: 10}
    assert rotate_keys.rotate(encrypted.require("dsn_owner"), KeyFile(f"{new}\n{old}")).rotated == 15
    assert len(keys_of(with_keys(encrypted, new)).of_owners([f"user:{number}" for number in range(25)])) == 25


def test_a_damaged_key_is_named_and_stops_no_other(encrypted: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a rotation nor readers; see https://github.com/hephaestus-build/Hephaestus/issues/1648."""
    keys = keys_of(encrypted).of_owners([f"user:{number}" for number in range(25)])
    damaged = [keys[f"user:{number}"] for number in (3, 4, 20)]
    with connect(encrypted.require("dsn_owner")) as connection:
        connection.execute(
            "UPDATE app.data_key SET wrapped_key = set_byte(wrapped_key, 20, get_byte(wrapped_key, 20) # 1) "
            "WHERE key_id = ANY(%s)",
            [[key.key_id for key in damaged]],
        )
    monkeypatch.setattr(rotate_keys, "BATCH_KEYS", 2)
    old, new = encrypted.field_encryption_key.get_secret_value(), new_key()
    found = rotate_keys.rotate(encrypted.require("dsn_owner"), KeyFile(f"{new}\n{old}"))
    assert found.rotated == 22
    assert sorted(found.damaged) == sorted((key.key_id, key.owner) for key in damaged)
    done = okr(with_keys(encrypted, new, old), "keys", "rotate")
    assert done.returncode == 1
    assert "3 damaged keys cannot be unwrapped: " in done.stderr
    assert all(f"{key.key_id} ({key.owner})" in done.stderr for key in damaged)
    both = keys_of(with_keys(encrypted, new, old))
    assert len(both.by_ids(key.key_id for key in keys.values())) == 22
    with pytest.raises(PermanentError, match=f"The data key {damaged[0].key_id} of user:3 is damaged"):
        both.of_owners(["user:3"])


def test_while_a_backup_reads_the_keys_destroying_one_does_not_block_other_readers(
    encrypted: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """See https://github.com/irrdnet/irrd/issues/369 and https://github.com/flynn/flynn/issues/3331."""
    monkeypatch.setattr(destroy_keys, "REWRITE_FOR_S", 3.0)
    keys, dsn, took, stop = keys_of(encrypted), encrypted.require("dsn_owner"), list[float](), threading.Event()
    key_id = keys.of_owners(["user:ada", "user:ben"])["user:ben"].key_id

    def read() -> None:
        while not stop.wait(0.01):
            started = time.monotonic()
            keys.by_ids([key_id])
            took.append(time.monotonic() - started)

    reader = threading.Thread(target=read)
    reader.start()
    with connect(dsn) as backup:
        backup.execute("SELECT count(*) FROM app.data_key")
        with pytest.raises(RetryableError, match="The keys were destroyed, but are still in the files"):
            destroy_keys.destroy(dsn, ["user:ada"])
    stop.set()
    reader.join()
    assert max(took) < destroy_keys.REWRITE_LIMITS.lock_s + 1
    assert destroy_keys.destroy(dsn, ["user:ada"]) == 0  # the repeat rewrites the table


def test_a_destroyed_key_makes_all_values_of_a_person_unreadable_and_the_pipeline_goes_on(
    encrypted: Settings, send: Send
) -> None:
    send(*organisation(), user("ada", "Ada", "ada@example.org"), user("ben", "Ben", "ben@example.org"))
    send(check_in(1, "of Ada", user_id="ada"), check_in(2, "of Ben", user_id="ben"), check_in(3, "of nobody"))
    drain(encrypted)
    done = okr(encrypted, "keys", "destroy", "--person", "ada", "--yes")
    assert (done.returncode, done.stdout) == (0, "1 keys were destroyed, 0 had been destroyed before.\n"), done.stderr
    assert texts(encrypted) == sorted([ERASED, "Ben", "ben@example.org", "of Ben", "of nobody"])
    with connect(encrypted.require("dsn_owner")) as connection:
        assert connection.execute(
            "SELECT source_user_id FROM app.users WHERE email LIKE '%.%' ORDER BY 1"
        ).fetchall() == [("ben",)], "the keyed hash of an erased address is left"
    # New events of the person, and of another erased person, are stored without what they say.
    destroy_keys.destroy(encrypted.require("dsn_owner"), ["user:ben"])
    send(user("ada", "Ada again", "ada@example.org", seconds=1), user("ben", "Ben again", "ada@example.org", seconds=1))
    send(check_in(1, "a correction", user_id="ada"))
    drain(encrypted)
    assert texts(encrypted) == sorted([ERASED, "of nobody"])
    with connect(encrypted.require("dsn_owner")) as connection:
        users = connection.execute("SELECT source_user_id, name, email FROM app.users ORDER BY 1").fetchall()
        (stored,) = (
            connection.execute("SELECT count(*) FROM app.event WHERE data ->> 'email' LIKE '%.%'").fetchone() or ()
        )
    assert [user_id for user_id, *_ in users] == ["ada", "ben"]
    assert all(str(value).startswith("enc1:") for _, *values in users for value in values)
    assert stored == 0, "a keyed hash of an erased address is left"


def test_a_destroyed_key_is_not_in_the_files_of_its_table_any_more(encrypted: Settings, test_stack: Stack) -> None:
    keys_of(encrypted).of_owners(["user:ada", "user:ben"])
    with connect(encrypted.require("dsn_owner")) as connection:
        (wrapped,) = (
            connection.execute("SELECT wrapped_key FROM app.data_key WHERE owner = 'user:ada'").fetchone() or ()
        )

    def is_in_table() -> bool:
        checkpoint(test_stack)
        with connect(encrypted.require("dsn_owner")) as connection:
            (path,) = connection.execute("SELECT pg_relation_filepath('app.data_key')").fetchone() or ()
        (file,) = (test_stack.state / "postgres").glob(f"**/{path}")
        return bytes(wrapped) in file.read_bytes()  # type: ignore[call-overload]

    assert is_in_table()
    destroy_keys.destroy(encrypted.require("dsn_owner"), ["user:ada"])
    assert not is_in_table()


def test_a_key_that_does_not_exist_is_not_destroyed(encrypted: Settings) -> None:
    keys_of(encrypted).of_owners(["user:ada"])
    with pytest.raises(NotPossible, match=r"There is no key of user:adb. Nothing was changed. Is the id right\?"):
        destroy_keys.destroy(encrypted.require("dsn_owner"), ["user:ada", "user:adb"])
    assert keys_of(encrypted).of_owners(["user:ada"])["user:ada"].secret is not None


def test_the_commands_show_and_rotate_keys(encrypted: Settings) -> None:
    keys_of(encrypted).of_owners(["user:ada", "user:ben", "key_result:k1"])
    old, new = encrypted.field_encryption_key.get_secret_value(), new_key()
    both = with_keys(encrypted, new, old)
    assert KeyFile(old).current_id in okr(both, "keys", "status").stdout
    assert okr(both, "keys", "rotate").stdout.startswith(f"3 keys were wrapped with {KeyFile(new).current_id}.")
    shown = json.loads(okr(with_keys(encrypted, new), "keys", "status", "--json").stdout)
    assert shown["current"] == KeyFile(new).current_id
    assert {each["kind"]: each["keys"] for each in shown["keys"]} == {"user": 2, "key_result": 1}
    lost = okr(encrypted, "keys", "status")
    assert lost.returncode == 1
    assert f"does not contain the key-encryption key {KeyFile(new).current_id}" in lost.stderr
    without_file = okr(with_keys(encrypted, ""), "keys", "status")
    assert without_file.returncode == 1
    assert (
        f"There is no key file (OKR_FIELD_ENCRYPTION_KEY), although keys are wrapped with {KeyFile(new).current_id}"
        in (without_file.stderr)
    )


# Each case: the key file, and the line that the worker prints. The environment is production if there is none.
WRONG_KEYS = {
    "missing": ("", "OKR_FIELD_ENCRYPTION_KEY is empty, but production requires that personal fields are encrypted"),
    "another": (new_key(), "does not contain the key-encryption key"),
    "damaged": ("c2hvcnQ=", "OKR_FIELD_ENCRYPTION_KEY: key 1 is not 32 bytes in base64"),
}


def test_a_wrong_key_file_gives_one_line_and_nothing_is_lost(encrypted: Settings, send: Send) -> None:
    send(*planted("Ada"))
    drain(encrypted)
    send(check_in(7, "not landed yet", user_id="cy"))
    before = len(lake_rows(encrypted))
    workers = {
        (case, worker): subprocess.Popen(
            [OKR, "consume", worker, "--drain"],
            env=environment_of(with_keys(encrypted, *text.split())) | ({} if text else PRODUCTION),
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for case, (text, _) in WRONG_KEYS.items()
        for worker in ("land", "state")
        if worker == "land" or case == "another"  # both read the key file by the same function
    }  # fmt: skip
    for (case, name), worker in workers.items():
        _, errors = worker.communicate(timeout=60)
        assert worker.returncode != 0
        lines = [line for line in errors.splitlines() if "KEY" in line]
        assert len(lines) == 1, (name, errors)
        assert WRONG_KEYS[case][1] in lines[0], name
    assert len(lake_rows(encrypted)) == before
    drain(encrypted)
    assert "not landed yet" in texts(encrypted)


def test_a_key_file_is_read_as_a_systemd_credential(encrypted: Settings, tmp_path: Path) -> None:
    text = f"{encrypted.field_encryption_key.get_secret_value()}\n{new_key()}\n"
    (tmp_path / "okr_field_encryption_key").write_text(text, encoding="utf-8")
    keys_of(encrypted).of_owners(["user:ada"])
    environment = environment_of(with_keys(encrypted)) | {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    shown = subprocess.run(
        [OKR, "keys", "status"], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert "current" in shown.stdout, shown.stderr


def test_while_postgresql_is_unavailable_landing_stops_and_later_continues(encrypted: Settings, send: Send) -> None:
    send(*planted("Ada"))
    unreachable = encrypted.model_copy(
        update={"dsn_landing": type(encrypted.dsn_landing)("postgresql://x@127.0.0.1:1/x")}
    )
    with pytest.raises(RetryableError, match="did not accept a connection"):
        land(unreachable, threading.Event(), drain=True)
    drain(encrypted)
    assert len(lake_rows(encrypted)) == len(planted("Ada"))
