# Datenbank für das Büro
from sqlalchemy.ext.asyncio import create_async_engine

TITLE = "Büro"
engine = create_async_engine("sqlite+aiosqlite:///./buero.db")
