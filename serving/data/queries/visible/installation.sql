-- Condition: the rows are about the installation. The right to read them decides (Right.READ_SYSTEM).
true
