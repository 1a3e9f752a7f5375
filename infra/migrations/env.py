"""Alembic's entry: runs the revisions on the connection that `infra.migrations.run` hands over."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], version_table="schema_version")
with context.begin_transaction():
    context.run_migrations()
