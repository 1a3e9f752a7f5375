-- name: withheld_check_ins_do_not_count
-- expect: fct_check_in has no check-in from a withheld event
SELECT reviewed.event_id, reviewed.reason
FROM {batch} AS reviewed
INNER JOIN fct_check_in AS c USING (kafka_partition, kafka_offset)
WHERE reviewed.is_withheld
