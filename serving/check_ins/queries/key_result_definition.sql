-- Returns at most one row: a key result's newest definition in the state tables, which are only seconds old. For a
-- published key result (`is_published`), there is a row only if that definition belongs to the published cycle.
SELECT defined.key_result_id, defined.title, defined.unit, defined.baseline, defined.target
FROM api.defined_key_result AS defined
WHERE
    defined.key_result_id = %(key_result_id)s
    AND (
        NOT %(is_published)s
        OR EXISTS (
            SELECT FROM api.defined_key_result_cycle AS key_result_cycle
            WHERE
                key_result_cycle.key_result_id = defined.key_result_id
                AND key_result_cycle.cycle_id IS NOT DISTINCT FROM %(cycle_id)s::text
                AND key_result_cycle.is_current
        )
    )
