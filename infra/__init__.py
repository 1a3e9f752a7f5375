"""The local stack, migrations, analysts' logins and the demo. It imports only `lakehouse`; only tests import it."""
