"""Schemathesis: requests made from the OpenAPI description, valid and invalid, alone and in chains along its links.

All of its checks run: no response is a server error, every response matches its description, invalid requests are
rejected and valid ones accepted, no operation ignores that a login is missing, and so on. It runs against an
installation of its own, because it also rolls back, disables and changes everything that an operator may.

`make fuzz` does the same for minutes, with more examples.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from pydantic import SecretStr

from infra.local.stack import Stack
from lakehouse.lake import landing_schema, table_uri
from lakehouse.settings import Settings
from lakehouse.warehouse import connect
from serving.auth.account_changes import Actor, Assignment
from serving.auth.roles import Right, Role
from tests.databases import copy_of
from tests.serving.live_server import Api, serving

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "0"))
NUMBERS = """
[phases.fuzzing.generation]
max-examples = {fuzzing}
[phases.stateful.generation]
max-examples = {stateful}
"""
QUICK = ["--phases", "fuzzing,stateful", "--seed", "12", "--no-shrink"]
OPERATOR = Actor("os:test")


@pytest.fixture(scope="module")
def installation(
    published_template: Settings,
    test_stack: Stack,
    redis_server: Settings,
    kafka: Settings,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Api]:
    """The application over a copy of the published warehouse, with an empty lake and a database of Redis of its own."""
    folder = tmp_path_factory.mktemp("conformance")
    lake = str(folder / "lake")
    write_deltalake(table_uri(lake, "okr_user_events"), pa.Table.from_pylist([], schema=landing_schema()))
    redis_url = SecretStr(f"{redis_server.require('redis_url').removesuffix('/0')}/3")
    own = {"redis_url": redis_url, "state": folder, "lake_uri": lake}
    with copy_of(published_template, test_stack) as settings, serving(settings.model_copy(update=own)) as api:
        yield api


@pytest.fixture(scope="module")
def key(installation: Api) -> str:
    """An API key with all rights of an account of its own, because other accounts will be disabled."""
    auth = installation.services.auth
    auth.account_changes.create("fuzzer", Role.ADMIN, "correct horse battery staple", Assignment(), OPERATOR)
    with connect(installation.settings.require("dsn_owner")) as connection:
        connection.execute("UPDATE auth.account SET plan = 'internal' WHERE username = 'fuzzer'")
    return auth.api_keys.add("fuzzer", "fuzz", [right.scope for right in Right], OPERATOR, None).text


def schemathesis(api: Api, key: str, *arguments: str, fuzzing: int, stateful: int) -> str:
    """Run Schemathesis with all checks, and return its report.

    `fuzzing` is the number of requests for each operation, and `stateful` the number of chains of requests.
    """
    url = str(api.client.base_url).rstrip("/")
    headers = {"Authorization": f"Bearer {key}"}
    environment = os.environ | {"OKR_API": url, "OKR_KEY": key, "PYTHONPATH": str(CONFIG.parent)}
    description = api.settings.state / "openapi.json"
    description.write_bytes(api.client.get("/openapi.json", headers=headers).content)
    config = api.settings.state / CONFIG.name
    config.write_text(CONFIG.read_text() + NUMBERS.format(fuzzing=fuzzing, stateful=stateful))
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(config), "run"]
    done = subprocess.run(
        [*command, str(description), *arguments], env=environment, cwd=api.settings.state, capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    (api.settings.state / "report.txt").write_text(done.stdout, encoding="utf-8")
    assert api.client.get("/auth/me", headers=headers).status_code == 200, "Its own credential has ended: see hooks.py."
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    return done.stdout


@pytest.mark.timeout(3600)
def test_every_response_matches_the_description_and_every_invalid_request_is_rejected(
    installation: Api, key: str
) -> None:
    if EXAMPLES:
        told = schemathesis(installation, key, "--continue-on-failure", fuzzing=EXAMPLES, stateful=10 * EXAMPLES)
    else:
        told = schemathesis(installation, key, *QUICK, fuzzing=1, stateful=15)
    assert re.search(r"API Links: +[1-9]", told), told[:3000]
    print(told)
