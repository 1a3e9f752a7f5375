DELETE FROM serving.worker WHERE worker_id = %(worker_id)s
