# %% right: SQL by hand
from alembic import op


def upgrade():
    op.execute("ALTER TABLE task ADD COLUMN priority integer NOT NULL DEFAULT 3")


def downgrade():
    op.execute("ALTER TABLE task DROP COLUMN priority")


# %% right: in three steps
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), server_default="3"))
    op.execute("update task set priority = 3 where priority is null")
    op.alter_column("task", "priority", nullable=False)


def downgrade():
    op.drop_column("task", "priority")


# %% right: a batch, with a text expression
import sqlalchemy as sa
from alembic import op


def upgrade():
    with op.batch_alter_table("task") as batch:
        batch.add_column(sa.Column("priority", sa.Integer, server_default=sa.text("3"), nullable=False))


def downgrade():
    with op.batch_alter_table("task") as batch:
        batch.drop_column("priority")


# %% right: the default last
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer()))
    op.get_bind().execute(sa.text("update task set priority = 3"))
    op.alter_column("task", "priority", nullable=False, server_default="3")


def downgrade():
    op.get_bind().execute(sa.text("alter table task drop column priority"))


# %% wrong: no-server-default | Give the column a value for them on the server
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False))
    op.execute("update task set priority = 3")


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: no-server-default | `default` is Python's
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, default=3))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: no-server-default | Give the column a value for them on the server
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: downgrade-does-nothing | Take back what `upgrade` did
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


def downgrade():
    """Take the column back."""


# %% wrong: stays-nullable | still accepts NULL
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), server_default="3"))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: old-rows-differ | Every old row needs one
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: old-code-fails | Leave the default with the column
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
    op.alter_column("task", "priority", server_default=None)


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: old-code-fails | is still running while you migrate
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer()))
    op.execute("update task set priority = 3")
    op.alter_column("task", "priority", nullable=False)


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: other-default | The task asks for 3
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="0"))
    op.execute("update task set priority = 3")


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: wrong-type | would find a difference for ever
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.String(), nullable=False, server_default="3"))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: loses-rows | don't drop it and create it anew
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.drop_table("task")
    op.create_table(
        "task",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("priority", sa.Integer, nullable=False, server_default="3"),
    )


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: loses-rows | After `downgrade` the rows are not those
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


def downgrade():
    op.drop_table("task")


# %% wrong: downgrade-does-nothing | Take back what `upgrade` did
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


def downgrade():
    pass


# %% wrong: downgrade-changes-more | not as it was before `upgrade`
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


def downgrade():
    op.drop_column("task", "priority")
    op.add_column("task", sa.Column("old", sa.Integer()))


# %% wrong: no-second-upgrade | `downgrade` left something behind
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.execute("create type level as enum ('low', 'high')")
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: changes-more | nothing besides
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
    op.create_index("ix_task_priority", "task", ["priority"])


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: loses-rows | After `upgrade` the rows are not those
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
    op.alter_column("task", "title", new_column_name="name")


def downgrade():
    op.alter_column("task", "name", new_column_name="title")
    op.drop_column("task", "priority")


# %% wrong: changes-more | not for another limit
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
    op.create_check_constraint("ck_task_priority", "task", "priority between 2 and 4")


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: adds-no-column | alter nothing that exists
from alembic import op
from sqlmodel import SQLModel


def upgrade():
    SQLModel.metadata.create_all(op.get_bind())


def downgrade():
    pass


# %% wrong: async-migration | without awaiting them
import sqlalchemy as sa
from alembic import op


async def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


async def downgrade():
    op.drop_column("task", "priority")


# %% wrong: passes-no-function | Alembic calls two functions
upgrade = "ALTER TABLE task ADD COLUMN priority integer NOT NULL DEFAULT 3"
downgrade = "ALTER TABLE task DROP COLUMN priority"

# %% error: syntax error
from alembic import op


def upgrade():
    op.execute("ALTER TABLE task ADD KOLUMN priority integer")


def downgrade():
    op.execute("ALTER TABLE task DROP COLUMN priority")


# %% error: has no attribute 'add'
from alembic import op


def upgrade():
    op.add("task", "priority")


def downgrade():
    op.drop_column("task", "priority")


# %% timed out: did not finish within
import time

from alembic import op


def upgrade():
    op.execute("ALTER TABLE task ADD COLUMN priority integer NOT NULL DEFAULT 3")
    while True:
        time.sleep(0.01)


def downgrade():
    op.execute("ALTER TABLE task DROP COLUMN priority")


# %% right: outside of the transaction
import sqlalchemy as sa
from alembic import op


def upgrade():
    with op.get_context().autocommit_block():
        op.execute("alter table task add column if not exists priority integer not null default 3")


def downgrade():
    op.drop_column("task", "priority")


# %% right: looks, then row by row
import sqlalchemy as sa
from alembic import op


def upgrade():
    bind = op.get_bind()
    if "priority" in [c["name"] for c in sa.inspect(bind).get_columns("task")]:
        return
    op.add_column("task", sa.Column("priority", sa.Integer, server_default="3"))
    for (number,) in bind.execute(sa.text("select id from task")).all():
        bind.execute(sa.text("update task set priority = 3 where id = :n"), {"n": number})
    op.alter_column("task", "priority", nullable=False)


def downgrade():
    op.drop_column("task", "priority")


# %% right: a constraint that is validated later
from alembic import op


def upgrade():
    op.execute("alter table task add column priority integer default 3")
    op.execute("alter table task add constraint p check (priority is not null) not valid")
    op.execute("alter table task validate constraint p")
    op.execute("alter table task alter column priority set not null")
    op.execute("alter table task drop constraint p")


def downgrade():
    op.execute("alter table task drop column if exists priority")


# %% right: methods
import sqlalchemy as sa
from alembic import op


class Revision:
    def up(self):
        op.add_column("task", sa.Column("priority", sa.Integer, nullable=False, server_default=sa.literal(3)))

    def down(self):
        op.drop_column("task", "priority")


upgrade, downgrade = Revision().up, Revision().down


# %% wrong: no-server-default | have no value for a column
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer))
    op.execute("update task set priority = 3 where id in (1, 2, 3, 4)")
    op.alter_column("task", "priority", nullable=False, server_default="3")


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: loses-rows | After `downgrade` the rows are not those that were there
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer, nullable=False, server_default="3"))


def downgrade():
    op.execute("delete from task where priority <> 3")
    op.drop_column("task", "priority")


# %% wrong: changes-more | the database refuses it
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer, nullable=False, server_default="3"))
    op.create_check_constraint("between", "task", "priority between 1 and 5")


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: changes-more | something else in the database has changed
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.execute("create table if not exists backup as select * from task")
    op.add_column("task", sa.Column("priority", sa.Integer, nullable=False, server_default="3"))


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: downgrade-changes-more | no more than that
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer, nullable=False, server_default="3"))


def downgrade():
    op.drop_column("task", "priority")
    op.alter_column("task", "title", server_default="x")


# %% wrong: swallows-the-error | spoils its whole transaction
import sqlalchemy as sa
from alembic import op


def upgrade():
    try:
        op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False))
    except Exception:
        pass


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: ends-the-transaction | Leave `commit` and `rollback` to Alembic
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))
    op.get_bind().commit()


def downgrade():
    op.drop_column("task", "priority")


# %% wrong: adds-no-column | use `op.add_column`
import sqlalchemy as sa
from alembic import op


async def up():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))

upgrade = lambda: up()


def downgrade():
    op.drop_column("task", "priority")


# %% error: line 6 of your cell, in upgrade
import sqlalchemy as sa
from alembic import op


def upgrade():
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default=3))


def downgrade():
    op.drop_column("task", "priority")


# %% error: While running your `upgrade`
import sqlalchemy as sa
from alembic import op


def upgrade(connection):
    op.add_column("task", sa.Column("priority", sa.Integer(), nullable=False, server_default="3"))


def downgrade():
    op.drop_column("task", "priority")
