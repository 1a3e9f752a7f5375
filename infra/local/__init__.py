"""The local stack: one file per service, one supervisor, one state folder."""
