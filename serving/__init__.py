"""The HTTP API and the scorecard page. Each folder has its routes, service, queries and schemas."""
