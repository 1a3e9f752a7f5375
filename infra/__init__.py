"""The local stack, migrations, logins of analysts and the demo. Imports only `lakehouse`; only tests import it."""
