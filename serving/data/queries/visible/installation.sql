-- Condition: always true, because the rows are about the installation; only callers with Right.READ_SYSTEM see them.
true
