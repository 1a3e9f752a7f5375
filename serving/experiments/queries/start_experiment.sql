UPDATE serving.experiment SET state = 'running', started_at = now() WHERE name = %(name)s AND state = 'draft'
