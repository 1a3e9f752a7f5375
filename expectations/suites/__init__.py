"""One suite per noun, as plain data: rules, and the SQL that finds the rows that break them. See README.md."""
