SELECT count(*) AS arrived FROM marts.fct_prediction WHERE prediction_id = ANY(%(prediction_ids)s);
