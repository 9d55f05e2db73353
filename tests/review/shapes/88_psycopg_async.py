from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine(
    "postgresql+psycopg://app@127.0.0.1:5432/app",
    pool_pre_ping=True,
    pool_recycle=240,
)
async_session = async_sessionmaker(engine, expire_on_commit=False)
