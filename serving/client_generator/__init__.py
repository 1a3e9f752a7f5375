"""Generate the operations and models of `okr_client` from the OpenAPI description. `make client` runs it."""
