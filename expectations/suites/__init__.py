"""One suite a noun, as plain data: the rules, and beside them the SQL that finds the rows which break them."""
