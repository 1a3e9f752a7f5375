"""The links that a deployment changes, each by one atomic rename."""

from pathlib import Path

from infra.deploy.host import COLOURS, Host
from lakehouse.atomic_replace import replace_file


def replace_link(link: Path, target: str) -> None:
    """Make a link point to a target, unless it does. Others see the old or the new target.

    Raises:
        OSError: the folder is missing or not writable, or its disk is full; the link is unchanged.
    """
    if link.is_symlink() and str(link.readlink()) == target:
        return
    draft = link.with_name(f".{link.name}.new")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def serving_colour(host: Host) -> str | None:
    """Return the colour to which requests go, or None before the first deployment."""
    if not host.current_socket.is_symlink():
        return None
    colour = host.current_socket.readlink().stem
    return colour if colour in COLOURS else None


def other(colour: str | None) -> str:
    """Return the colour that does not serve; blue if none serves."""
    return "green" if colour == "blue" else "blue"


def switch(host: Host, colour: str | None) -> None:
    """Send new requests to a colour. With None, which undoes the first deployment, there is none.

    The file for the boot is written first: sockets are gone after a reboot, and then it makes the link. nginx takes
    static files from the release to which `serving` points; without the link, it asks the API for them.

    Raises:
        OSError: a disk is full or a folder not writable; requests go where they went before.
    """
    static_files = host.root / "serving"
    line = f"L+ {host.current_socket} - - - - {colour}.sock\n" if colour else ""
    text = f"# Written by okr deploy: the colour that serves.\n{line}"
    if host.boot_file is not None and _text(host.boot_file) != text:  # an undo may have to work on a full disk
        replace_file(host.boot_file, text)
    if colour is None:
        host.current_socket.unlink(missing_ok=True)
        static_files.unlink(missing_ok=True)
    else:
        replace_link(static_files, colour)
        replace_link(host.current_socket, f"{colour}.sock")


def _text(file: Path) -> str:
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def assign(host: Host, name: str, version: str) -> None:
    """Make `blue`, `green` or `current` use a release from its next start on."""
    replace_link(host.root / name, f"releases/{version}")


def assigned(host: Host, name: str) -> str | None:
    """Return the release that `blue`, `green` or `current` uses, or None."""
    link = host.root / name
    return link.readlink().name if link.is_symlink() else None
