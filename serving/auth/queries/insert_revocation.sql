-- Writes a revocation.
INSERT INTO auth.revocation (kind, subject, credential_version)
VALUES (%(kind)s, %(subject)s, %(credential_version)s)
RETURNING revocation_id
