"""Who is calling: accounts, tokens for programs, a session cookie for people."""
