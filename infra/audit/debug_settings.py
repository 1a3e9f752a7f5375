"""Settings of running processes that are made for debugging: they disclose internals, or let others run code."""

import re
from collections.abc import Iterator

import psutil

from infra.audit.finding import Finding, NotChecked
from infra.audit.installation import Installation

ON = re.compile(r"(?i)(1|true|yes|on|debug)")
VARIABLES = (
    "PYTHONDEVMODE", "PYTHONASYNCIODEBUG", "FLASK_DEBUG", "DBT_DEBUG", "AIRFLOW__LOGGING__LOGGING_LEVEL",
    "AIRFLOW__API__EXPOSE_CONFIG", "AIRFLOW__API__EXPOSE_STACKTRACE", "AIRFLOW__CORE__LOAD_EXAMPLES",
    "AIRFLOW__CORE__UNIT_TEST_MODE",
)  # fmt: skip
# A debugger of the Java or Python runtime, JMX without a login, and servers that reload changed code.
ARGUMENTS = re.compile(
    r"-agentlib:jdwp.*|-Xrunjdwp.*|-Dcom\.sun\.management\.jmxremote\.authenticate=false|--reload|--debug|debugpy"
)


def check(installation: Installation) -> Iterator[Finding]:
    """Yield a finding for each variable and argument of a process of the platform that switches debugging on.

    Raises:
        NotChecked: no process of the platform is running, or one belongs to another user.
    """
    processes = list(installation.processes())
    if not processes:
        raise NotChecked("no process of the platform runs on this host")
    for process in processes:
        try:
            yield from _of_process(process)
        except psutil.NoSuchProcess:  # it has ended
            continue
        except psutil.AccessDenied as error:
            raise NotChecked(f"process {process.pid} belongs to another user: run the audit as root") from error


def _of_process(process: psutil.Process) -> Iterator[Finding]:
    subject = f"process {process.pid} ({process.name()})"
    for argument in process.cmdline():
        if ARGUMENTS.fullmatch(argument):
            yield Finding(subject, "no debugging argument", argument, "Remove it from the service, and restart it.")
    environment = process.environ()
    for name in VARIABLES:
        if ON.fullmatch(environment.get(name, "")):
            yield Finding(
                subject, f"{name} not switched on", environment[name], "Remove it from the service, and restart it."
            )
