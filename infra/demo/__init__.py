"""`make demo`: drives the running stack from outside, by its commands, HTTP and SQL, as its users would."""
