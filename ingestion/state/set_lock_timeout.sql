-- Set the lock timeout of the current transaction.
SELECT set_config('lock_timeout', %(timeout)s, true)
