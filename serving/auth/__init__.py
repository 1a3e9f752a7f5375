"""Authentication and authorization: accounts, bearer tokens for programs and session cookies for browsers."""
