SELECT 1 AS seen FROM marts.fct_check_in WHERE check_in_id = %(check_in_id)s;
