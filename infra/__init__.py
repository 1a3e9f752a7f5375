"""The local stack, migrations, analysts' logins and the demo. It imports only `lakehouse`, and only tests import it."""
