"""`make demo`: drives the running stack from outside, through commands, HTTP and SQL, as its users do."""
