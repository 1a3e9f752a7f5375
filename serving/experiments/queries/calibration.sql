-- Grain: one arm of an experiment, over the closed key results that it forecast before their outcomes were known.
-- Repeated forecasts of one key result count once, because they are not independent.
SELECT
    arm,
    count(*) AS key_results,
    avg(probability) AS mean_probability,
    avg(outcome) AS achieved_share
FROM (
    SELECT
        arm,
        avg(probability) AS probability,
        max(is_achieved::integer)::double precision AS outcome
    FROM marts.fct_prediction
    WHERE experiment = %(experiment)s AND is_scored
    GROUP BY arm, key_result_id, cycle_id
) AS by_key_result
GROUP BY arm
ORDER BY arm
