"""The scorecard pages, rendered on the server, and the static sites behind the same login."""
