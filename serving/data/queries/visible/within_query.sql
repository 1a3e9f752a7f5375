-- Condition: the list's own query restricts its rows.
true
