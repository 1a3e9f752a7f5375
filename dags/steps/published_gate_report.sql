SELECT gate FROM ops.publication WHERE dbt_run_id = %(build_id)s ORDER BY publication_id DESC LIMIT 1
