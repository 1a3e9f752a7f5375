-- Condition: always true, because the rows are about the installation, and only callers with Right.READ_SYSTEM see them.
true
