"""The audit, as root on a server that Ansible has provisioned, finds nothing but what is planted."""

import json

from tests.ops.server.conftest import Server

# Not: ports, because the container shares the network of this host, on which other programs listen; rights, because
# other tests create databases; and what needs administrators of Redis and Kafka.
CHECKS = ("environment", "secrets", "files", "connections", "postgres-server", "accounts", "debug")
AUDIT = (
    "set -a; . /etc/okr/okr.env; set +a; OKR_STATE=/var/lib/okr CREDENTIALS_DIRECTORY=/etc/okr/secrets "
    "/opt/okr/current/.venv/bin/okr installation audit --json"
)


def audit(server: Server) -> tuple[int, dict[str, list[str]]]:
    """Run the audit as docs/security-audit.md says; return its status and the subjects of its findings by check."""
    chosen = " ".join(f"--only {check}" for check in CHECKS)
    done = server.machine.run("/bin/sh", "-c", f"{AUDIT} {chosen}", check=False)
    results = json.loads(done.stdout or "[]")
    assert {result["check"] for result in results if not result["not_checked"]} == {*CHECKS}, done
    return done.returncode, {
        result["check"]: [finding["subject"] for finding in result["findings"]]
        for result in results
        if result["findings"]
    }


def test_a_provisioned_server_has_no_findings_but_a_planted_one(server: Server) -> None:
    assert audit(server) == (0, {})
    server.machine.run("chmod", "0644", "/etc/okr/secrets/okr_jwt_secret")
    server.machine.run("chmod", "0755", "/var/lib/okr/lake")
    try:
        assert audit(server) == (1, {"files": ["/etc/okr/secrets/okr_jwt_secret", "/var/lib/okr/lake"]})
    finally:
        server.machine.run("chmod", "0600", "/etc/okr/secrets/okr_jwt_secret")
        server.machine.run("chmod", "2770", "/var/lib/okr/lake")
