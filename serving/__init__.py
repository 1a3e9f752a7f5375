"""HTTP: predictions, data, admin, pages. One room per noun, each with its routes, service, queries and schemas."""
