"""Health check of a container: `python -m infra.containers.probe URL` fails unless the server answers with status 200.

The servers listen in the same container, so their certificate, which is for another name, is not checked.
"""

import ssl
import sys
import urllib.request
from urllib.error import URLError

LIMIT_S = 4


def problem(url: str) -> str | None:
    """Return why the server is not healthy, or None."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        # The image's own address.
        with urllib.request.urlopen(url, timeout=LIMIT_S, context=context):  # noqa: S310  # nosec B310 -- see above
            return None
    except (URLError, OSError) as error:
        return f"{url}: {error}"


if __name__ == "__main__":
    sys.exit(problem(sys.argv[1]))
