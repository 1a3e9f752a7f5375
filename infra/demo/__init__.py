"""`make demo`: uses the running stack as its users do, through commands, HTTP and SQL."""
