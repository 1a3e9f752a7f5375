"""Alembic's entry: runs the revisions on the connection that `infra.migrations.run` hands over."""

from alembic import context

from infra.migrations.run import TABLE

context.configure(connection=context.config.attributes["connection"], version_table=TABLE)
with context.begin_transaction():
    context.run_migrations()
