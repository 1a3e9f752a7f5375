"""Alembic's entry point, which runs the revisions on the connection that `infra.migrations.migrate` passes in."""

from alembic import context

from infra.migrations.migrate import VERSION_TABLE

context.configure(connection=context.config.attributes["connection"], version_table=VERSION_TABLE)
with context.begin_transaction():
    context.run_migrations()
