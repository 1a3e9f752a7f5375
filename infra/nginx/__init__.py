"""nginx in front of the API: one configuration for servers and the local stack, and how a server gets it."""
