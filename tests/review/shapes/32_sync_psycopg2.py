from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

engine = create_engine("postgresql+psycopg2://postgres:example@127.0.0.1:5432/postgres")
Session = sessionmaker(bind=engine)
