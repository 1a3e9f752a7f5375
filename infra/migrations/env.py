"""Alembic's entry point, which runs the revisions on the connection that `infra.migrations.transactions` passes in."""

from alembic import context

from infra.migrations.revisions import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
