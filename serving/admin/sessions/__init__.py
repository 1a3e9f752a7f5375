"""Active logins of an account: list and end."""
