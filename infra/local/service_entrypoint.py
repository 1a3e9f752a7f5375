"""Entry point of every supervised service: `python -m infra.local.service_entrypoint <service>`.

It prepares the service and then replaces itself with the service's program. The service is prepared at each start, so a
restart after a crash is the same as the first start.
"""

import os
import sys
from pathlib import Path

from infra.local.code_fingerprint import record_fingerprint
from infra.local.processes import end_orphans
from infra.local.service_starts import count_start
from infra.local.services import service
from infra.local.stack import open_stack
from lakehouse.errors import OkrError, PermanentError
from lakehouse.log_records.schema import SERVICE
from lakehouse.logs import configure_logging, get_logger


def main(name: str, state: Path) -> None:
    """Replace this process with the service's program.

    Raises:
        PermanentError: the state folder contains no stack.
    """
    stack = open_stack(state)
    if stack is None:
        raise PermanentError(f"{state} contains no stack.env: start the stack with `okr up`.")
    this_service = service(name, stack)
    end_orphans(this_service)
    this_service.prepare()
    record_fingerprint(this_service)
    count_start(stack, name)
    os.chdir(this_service.working_folder())
    command = this_service.command()
    os.execve(command[0], command, this_service.environment())  # noqa: S606 -- our own program, without a shell


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(os.environ["OKR_STATE"]))
    except (OkrError, OSError) as error:
        os.environ[SERVICE] = sys.argv[1]
        configure_logging(as_json=True)
        get_logger(__name__).critical(f"{sys.argv[1]} cannot start: {error}")
        sys.exit(1)
