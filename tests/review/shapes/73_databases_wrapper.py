import os

import sqlalchemy
from databases import Database

DATABASE_URL = os.getenv("DATABASE_URL", "sqlite:///./wrapper.db")

database = Database(DATABASE_URL, min_size=2, max_size=10)
metadata = sqlalchemy.MetaData()


async def connect() -> None:
    await database.connect()


async def disconnect() -> None:
    await database.disconnect()
