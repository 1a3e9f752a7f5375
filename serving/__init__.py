"""The HTTP API and the scorecard page. Each folder contains the routes, service, queries and schemas of one area."""
