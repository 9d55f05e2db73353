from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

engine = create_async_engine("mysql+aiomysql://root:example@127.0.0.1:3306/app", pool_recycle=3600)
async_session = async_sessionmaker(engine, expire_on_commit=False)
