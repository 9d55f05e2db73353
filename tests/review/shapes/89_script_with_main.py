"""A script in the manner of a manual: the engine lives inside main()."""

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine


async def main() -> None:
    engine = create_async_engine("sqlite+aiosqlite://", echo=True)
    async with engine.begin() as connection:
        print((await connection.execute(text("select 1"))).scalar())
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main())
