"""`okr` on a server: commands run with its settings and secrets, and leave no file that a service cannot write."""

import json

import pytest

from tests.ops.server.conftest import Server

pytestmark = pytest.mark.timeout(900)  # the server is provisioned in the first test


def test_the_settings_and_secrets_are_those_of_the_host(server: Server) -> None:
    server.machine.run("okr", "config", "check", "--require", "OKR_DSN_OWNER", "--require", "OKR_LAKE_URI")


def test_commands_leave_no_file_that_a_service_cannot_write(server: Server) -> None:
    for command in ("lake maintain", "produce spool status"):
        server.machine.run("okr", *command.split())
    rows = json.loads(server.machine.output("okr", "load", "--json"))
    assert "okr_user_events" in rows
    for folder in ("api", "land", "lake"):
        service = "okr-api" if folder == "api" else "okr-land"
        assert server.machine.output("find", f"/var/lib/okr/{folder}", "!", "-user", service) == ""


def test_only_root_can_use_it(server: Server) -> None:
    refused = server.machine.run("setpriv", "--reuid=nobody", "okr", "lake", "status", check=False)
    assert (refused.returncode, refused.stderr.startswith("okr: expected root")) == (1, True)
