"""The commands in docs/nginx.md for a certificate from certbot."""

import re
import shutil
import subprocess
from pathlib import Path

from infra.nginx.certificates import check_certificate
from tests.ops.certificates import CertificateAuthority

PAGE = Path(__file__).parents[3] / "docs" / "nginx.md"
HOST = "okr.example.org"


def documented(first_words: str, folder: Path) -> str:
    """Return the block of code of the page that starts with some words, for files in another folder."""
    section = PAGE.read_text(encoding="utf-8").partition("## Certificates from certbot")[2]
    blocks = re.findall(r"```\n(.*?)```", section, re.DOTALL)
    (block,) = (block for block in blocks if block.lstrip().startswith(first_words))
    lines = [line.removeprefix("   ") for line in block.splitlines()]
    return "\n".join(lines).replace("/etc/okr/tls", str(folder)) + "\n"


def test_nginx_may_start_with_the_temporary_certificate(tmp_path: Path) -> None:
    assert shutil.which("openssl"), "Install the package openssl."
    subprocess.run(["sh", "-ec", documented("openssl", tmp_path)], check=True, capture_output=True)
    check_certificate(tmp_path / "certificate.pem", tmp_path / "key.pem", HOST)


def test_the_script_of_certbot_gives_nginx_the_chain_and_the_key(tmp_path: Path) -> None:
    lineage, tls, programs = (tmp_path / name for name in ("lineage", "tls", "bin"))
    for folder in (lineage, tls, programs):
        folder.mkdir()
    issued = CertificateAuthority(lineage).issue("renewed", (HOST,))
    issued.certificate.rename(lineage / "fullchain.pem")
    issued.key.rename(lineage / "privkey.pem").chmod(0o644)
    (programs / "okr").write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n')
    (programs / "okr").chmod(0o755)
    script = tmp_path / "renewed"
    script.write_text(documented("#!/bin/sh", tls))
    script.chmod(0o755)
    environment = {"RENEWED_LINEAGE": str(lineage), "PATH": f"{programs}:/usr/bin:/bin"}
    for _ in range(2):  # the first certificate and a renewal
        subprocess.run([script], env=environment, check=True)
        check_certificate(tls / "certificate.pem", tls / "key.pem", HOST)
    assert (tmp_path / "called").read_text() == "nginx apply\n"
