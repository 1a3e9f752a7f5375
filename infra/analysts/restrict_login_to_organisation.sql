-- Let a login read only the rows of one organisation (revision 0048).
INSERT INTO publishing.analyst_organisation (login, organisation_id)
VALUES (%(login)s, %(organisation_id)s)
ON CONFLICT (login) DO UPDATE
SET organisation_id = excluded.organisation_id
