"""Access control in Redis: one user per service, for the local stack and for servers."""
