import os
from sqlalchemy import create_engine

url = os.environ['DATABASE_URL']
print "connecting to", url.split('@')[-1]
try:
    engine = create_engine(url, convert_unicode=True)
except Exception, error:
    print error
    raise
