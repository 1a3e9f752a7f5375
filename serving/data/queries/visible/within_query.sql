-- Condition: always true, because the list's own query restricts its rows.
true
