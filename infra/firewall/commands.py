"""`okr firewall`: generate and load the firewall rules of a host."""

from pathlib import Path
from typing import Annotated

import typer

group = typer.Typer(no_args_is_help=True, help="Show the allowed flows, and load a host's firewall rules.")

Networks = Annotated[Path, typer.Option(help="File with the host's zones and the addresses of all zones and networks.")]
DEFAULT_NETWORKS = Path("/etc/okr/firewall.toml")


@group.command()
def flows() -> None:
    """Print the table of allowed flows as Markdown."""
    from infra.firewall.flow_table import flow_table, markdown

    typer.echo(markdown(flow_table()))


@group.command()
def rules(networks: Networks = DEFAULT_NETWORKS) -> None:
    """Print the nftables rules of this host. Nothing is loaded."""
    typer.echo(_rules(networks), nl=False)


@group.command()
def load(
    networks: Networks = DEFAULT_NETWORKS,
    file: Annotated[Path, typer.Option(help="Where to keep the rules for the next start of the host.")] = Path(
        "/etc/okr/firewall.nft"
    ),
) -> None:
    """Load the nftables rules of this host (as root) and keep them for its next start. Other tables of nftables stay.

    Established connections continue, so check with a new login before you close the one that you use.
    """
    from infra.firewall.loading import load as load_rules

    has_changed = load_rules(_rules(networks), file)
    typer.echo(f"The firewall is loaded, and {file} {'keeps' if has_changed else 'already had'} its rules.")


def _rules(networks: Path) -> str:
    from infra.firewall.flow_table import flow_table
    from infra.firewall.host_networks import read_networks
    from infra.firewall.ruleset import ruleset

    table = flow_table()
    return ruleset(table, read_networks(networks, table))
