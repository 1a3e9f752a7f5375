-- Records a login from an address.
INSERT INTO auth.known_client (username, client_hash)
VALUES (%(username)s, %(client_hash)s)
ON CONFLICT (username, client_hash) DO UPDATE SET last_login_at = now()
RETURNING username
