"""HTTP for all routes: limits of a request, its context and log line, problem documents and headers."""
