"""The OpenAPI description: its operations, examples, errors and links."""
