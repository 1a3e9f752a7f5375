-- Returns a row if the account has logged in from the address.
SELECT last_login_at
FROM auth.known_client
WHERE username = %(username)s AND client_hash = %(client_hash)s AND last_login_at > now() - interval '90 days'
