"""One suite per topic or mart, as plain data: rules, and SQL that returns the rows that break them. See README.md."""
