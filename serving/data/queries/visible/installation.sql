-- Condition: always true, because the rows are about the installation, which requires the right Right.READ_SYSTEM.
true
