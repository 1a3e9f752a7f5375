-- Condition: the row belongs to the caller's organisation (serving/auth/visibility.py).
(%(visible_organisation_id)s::text IS NULL OR listed.organisation_id = %(visible_organisation_id)s)
