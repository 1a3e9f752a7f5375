"""The server-rendered scorecard pages, and the static sites that require the same login."""
