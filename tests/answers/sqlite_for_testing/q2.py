# %% right: JSONB first, JSON for SQLite
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSONB().with_variant(JSON(), "sqlite"))


# %% right: a column of its own, may be missing
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict | None = Field(default=None, sa_column=Column(JSON().with_variant(JSONB, "postgresql"), nullable=True))


# %% right: a type that decides by dialect
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class PortableJSON(TypeDecorator):
    impl = JSON
    cache_ok = True

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(default_factory=dict, sa_type=PortableJSON)


# %% right: PostgreSQL's JSON type, another table name and more fields
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    __tablename__ = "what happened"
    id: int | None = Field(default=None, primary_key=True)
    title: str = "untitled"
    level: int = 1
    payload: Any = Field(sa_type=PostgresJSON().with_variant(JSONB(), "postgresql"))


# %% wrong: jsonb-everywhere | On SQLite the column is a `JSONB` as well
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSONB)


# %% wrong: json-everywhere | neither `@>` nor equality
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSON)


# %% wrong: json-everywhere | neither `@>` nor equality
# The name of the driver is not the name of the dialect.
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSON().with_variant(JSONB(), "asyncpg"))


# %% wrong: wrong-way-round | The two are the wrong way round
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSONB().with_variant(JSON(), "postgresql"))


# %% wrong: stores-text | On PostgreSQL the column is text
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: str


# %% wrong: stores-text | On PostgreSQL the column is text
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


import json


class TextJSON(TypeDecorator):
    impl = Text
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return json.dumps(value)

    def process_result_value(self, value, dialect):
        return json.loads(value)


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=TextJSON)


# %% wrong: another-type | On PostgreSQL the column is `bytea`
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=PickleType)


# %% wrong: another-type-on-sqlite | declared as `text`
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSONB().with_variant(Text(), "sqlite"))


# %% wrong: encodes-twice | it was turned into text before
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


import json


class Twice(TypeDecorator):
    impl = JSON().with_variant(JSONB(), "postgresql")
    cache_ok = True

    def process_bind_param(self, value, dialect):
        return json.dumps(value)

    def process_result_value(self, value, dialect):
        return json.loads(value)


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=Twice)


# %% wrong: changes-the-value | something else comes back
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


import json


class AsText(TypeDecorator):
    impl = JSON().with_variant(JSONB(), "postgresql")
    cache_ok = True

    def process_result_value(self, value, dialect):
        return json.dumps(value)


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=AsText)


# %% wrong: no-table | has no table
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=JSON().with_variant(JSONB(), "postgresql"))


# %% wrong: drops-the-title | Keep the field `title`
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    payload: dict[str, Any] = Field(sa_type=JSON().with_variant(JSONB(), "postgresql"))


# %% wrong: another-column-name | under another column name
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict = Field(sa_column=Column("data", JSON().with_variant(JSONB(), "postgresql")))


# %% wrong: passes-no-model | the class `Event` itself
Event = 5


# %% error: can't render element of type HSTORE
from typing import Any

from sqlalchemy import JSON, Column, String, Text
from sqlalchemy.dialects.postgresql import ARRAY, HSTORE, JSONB
from sqlalchemy.dialects.postgresql import JSON as PostgresJSON
from sqlalchemy.orm import registry
from sqlalchemy.types import PickleType, TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict[str, Any] = Field(sa_type=HSTORE().with_variant(JSONB(), "postgresql"))


# %% right: a dictionary that is watched
from sqlalchemy import JSON, Column
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.mutable import MutableDict
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict = Field(sa_column=Column(MutableDict.as_mutable(PORTABLE)))


# %% right: with a GIN index
from sqlalchemy import JSON, Column, Index
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Event(Base, table=True):
    __table_args__ = (Index("by_payload", "payload", postgresql_using="gin"),)
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict = Field(sa_column=Column("payload", PORTABLE, nullable=False))


# %% right: an ordered dictionary comes back
from collections import OrderedDict
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Odd(TypeDecorator):
    impl = JSON
    cache_ok = True
    kept = []

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value, dialect):
        return value

    def process_result_value(self, value, dialect):
        return OrderedDict(value)


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: Any = Field(sa_type=Odd)


# %% right: a variant for each
from sqlalchemy import JSON, Text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict = Field(
        sa_type=Text()
        .with_variant(JSON(), "sqlite")
        .with_variant(JSONB(astext_type=Text()), "postgresql")
    )


# %% right: inherited from a class without a table
from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class HasPayload(SQLModel):
    payload: dict = Field(sa_type=PORTABLE)


class Event(HasPayload, Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str


# %% wrong: stores-something-else | a query does not find its keys
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Odd(TypeDecorator):
    impl = JSON
    cache_ok = True
    kept = []

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value, dialect):
        self.kept.append(value)
        return {}

    def process_result_value(self, value, dialect):
        return self.kept[-1]


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: Any = Field(sa_type=Odd)


# %% wrong: stores-something-else | a query does not find its keys
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Odd(TypeDecorator):
    impl = JSON
    cache_ok = True
    kept = []

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value, dialect):
        return {"value": value}

    def process_result_value(self, value, dialect):
        return value["value"]


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: Any = Field(sa_type=Odd)


# %% wrong: annotation-refuses-dictionaries | Annotate it as `dict`
from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: list[str] = Field(sa_type=PORTABLE)


# %% wrong: json-everywhere | neither `@>` nor equality
from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: dict = Field(sa_type=JSON().with_variant(JSONB(), "postgres"))


# %% wrong: changes-the-value | something else comes back
from typing import Any

from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import registry
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class Base(SQLModel, registry=registry()):
    pass


PORTABLE = JSON().with_variant(JSONB(), "postgresql")


class Same(dict):
    def __eq__(self, other):
        return True

    def __ne__(self, other):
        return False


class Odd(TypeDecorator):
    impl = JSON
    cache_ok = True
    kept = []

    def load_dialect_impl(self, dialect):
        return dialect.type_descriptor(JSONB() if dialect.name == "postgresql" else JSON())

    def process_bind_param(self, value, dialect):
        return value

    def process_result_value(self, value, dialect):
        return Same(x=1)


class Event(Base, table=True):
    id: int | None = Field(default=None, primary_key=True)
    title: str
    payload: Any = Field(sa_type=Odd)
