"""The firewall of a host: nftables rules generated from the table of allowed flows in flows.toml."""
