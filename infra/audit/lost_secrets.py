"""Secrets that the services of this host load at their next start, but whose file is missing or empty.

Running services keep the value that they loaded, so nothing else shows this before the next restart or reboot.
"""

from collections.abc import Iterator
from pathlib import Path

from infra.audit.finding import Finding
from infra.server.filter_plugins.unit_secrets import unit_secrets
from lakehouse.kafka_connection import SecurityProtocol
from lakehouse.settings import Settings

UNITS, SECRETS = Path("/etc/systemd/system"), Path("/etc/okr/secrets")
ENABLED = ("okr.target.wants", "timers.target.wants")  # folders of links to what starts by itself
OF_KAFKA = "kafka_password_"  # has a default value in the units, for brokers without logins


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each secret of an enabled service or timer without a usable file."""
    enabled = sorted(link.stem for folder in ENABLED for link in (UNITS / folder).glob("okr-*"))
    has_logins = settings.kafka_security_protocol is SecurityProtocol.SASL_SSL
    for name, unit in unit_secrets(enabled, str(UNITS)).items():
        if not unit and not (has_logins and name.startswith(OF_KAFKA)):
            continue
        file = SECRETS / f"okr_{name}"
        found = "no file" if not file.is_file() else "" if file.read_bytes().strip() else "an empty file"
        if found:
            yield Finding(
                str(file), f"the secret that {unit or 'a service'} loads when it starts", found,
                "Do not restart the service. docs/runbooks/secret-lost.md says how to restore it.",
            )  # fmt: skip
