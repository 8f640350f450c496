"""Run by Alembic. The connection comes from `mos_study.database`: there is no alembic.ini."""

from alembic import context

from mos_study.tables import Table

context.configure(connection=context.config.attributes["connection"], target_metadata=Table.metadata)
context.run_migrations()
