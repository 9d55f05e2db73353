"""Do the URLs that hosting providers hand out become URLs that asyncpg accepts?

Shapes with made-up names and the password "made-up". Seen in the providers' own pages:
https://devcenter.heroku.com/articles/connecting-heroku-postgres (sslmode=require is left to the reader),
https://neon.com/docs/get-started-with-neon/connect-neon, https://neon.com/faqs/find-database-url-neon,
https://supabase.com/docs/guides/database/connecting-to-postgres, https://fly.io/docs/mpg/client-configuration/,
https://render.com/docs/databases, https://aiven.io/developer/query-a-postgresql-database,
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/PostgreSQL.Concepts.General.SSL.html,
https://learn.microsoft.com/training/modules/build-query-azure-database-postgresql/3-connect-to-postgresql.
Railway's and DigitalOcean's names of hosts come from other people's descriptions of them.
"""

import pytest
from sqlalchemy import make_url

from course_lib.urls import get_async_database_url, mask

HEROKU = "u:made-up@ec2-192-0-2-1.compute-1.amazonaws.com:5432/d0example"
NEON = "owner:made-up@ep-example-123456.eu-central-1.aws.neon.tech/neondb"
NEON_POOLED = "owner:made-up@ep-example-123456-pooler.eu-central-1.aws.neon.tech/neondb"
SUPABASE = "postgres:made-up@db.exampleref.supabase.co:5432/postgres"
SUPABASE_SESSION = "postgres.exampleref:made-up@aws-0-eu-central-1.pooler.supabase.com:5432/postgres"
SUPABASE_TRANSACTION = "postgres.exampleref:made-up@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
RAILWAY = "postgres:made-up@postgres.railway.internal:5432/railway"
RAILWAY_PUBLIC = "postgres:made-up@example.proxy.rlwy.net:34567/railway"
RENDER = "example_user:made-up@dpg-example-a/example_db"
RENDER_EXTERNAL = "example_user:made-up@dpg-example-a.oregon-postgres.render.com/example_db"
RDS = "app:made-up@example.abcdefg.eu-west-1.rds.amazonaws.com:5432/app"
AZURE = "app:made-up@example.postgres.database.azure.com:5432/postgres"
AZURE_LEGACY = "app@example:made-up@example.postgres.database.azure.com:5432/postgres"
AZURE_LEGACY_QUOTED = "app%40example:made-up@example.postgres.database.azure.com:5432/postgres"
AIVEN = "avnadmin:made-up@pg-example-project.a.aivencloud.com:12691/defaultdb"
DIGITALOCEAN = "doadmin:made-up@example-do-user-1-0.b.db.ondigitalocean.com:25060/defaultdb"
FLY = "fly-user:made-up@pgbouncer.example.flympg.net/fly-db"
FLY_INTERNAL = "example:made-up@example-db.flycast:5432/example"

CONVERTED = {
    "Heroku": (f"postgres://{HEROKU}", HEROKU),
    "Heroku, TLS asked for": (f"postgres://{HEROKU}?sslmode=require", f"{HEROKU}?ssl=require"),
    "Neon": (f"postgresql://{NEON}?sslmode=require&channel_binding=require", f"{NEON}?ssl=require"),
    "Neon, pooled": (
        f"postgresql://{NEON_POOLED}?channel_binding=require&sslmode=require",
        f"{NEON_POOLED}?ssl=require",
    ),
    "Neon, verified": (f"postgresql://{NEON}?sslmode=verify-full", f"{NEON}?ssl=verify-full"),
    "Supabase": (f"postgresql://{SUPABASE}", SUPABASE),
    "Supabase, session pooler": (f"postgres://{SUPABASE_SESSION}", SUPABASE_SESSION),
    "Supabase, transaction pooler": (f"postgres://{SUPABASE_TRANSACTION}", SUPABASE_TRANSACTION),
    "Supabase, for Prisma": (
        f"postgresql://{SUPABASE_TRANSACTION}?pgbouncer=true&connection_limit=1",
        SUPABASE_TRANSACTION,
    ),
    "Supabase through Vercel": (
        f"postgres://{SUPABASE_TRANSACTION}?sslmode=require&supa=base-pooler.x",
        f"{SUPABASE_TRANSACTION}?ssl=require",
    ),
    "Railway": (f"postgresql://{RAILWAY}", RAILWAY),
    "Railway, public": (f"postgresql://{RAILWAY_PUBLIC}", RAILWAY_PUBLIC),
    "Render, internal": (f"postgresql://{RENDER}", RENDER),
    "Render, external": (f"postgresql://{RENDER_EXTERNAL}", RENDER_EXTERNAL),
    "RDS": (f"postgresql://{RDS}?sslmode=require", f"{RDS}?ssl=require"),
    "RDS, CA by PGSSLROOTCERT": (f"postgresql://{RDS}?sslmode=verify-full", f"{RDS}?ssl=verify-full"),
    "Azure": (f"postgresql://{AZURE}?sslmode=require", f"{AZURE}?ssl=require"),
    "Azure, user@server": (f"postgresql://{AZURE_LEGACY}?sslmode=require", f"{AZURE_LEGACY}?ssl=require"),
    "Azure, user%40server": (
        f"postgresql://{AZURE_LEGACY_QUOTED}?sslmode=require",
        f"{AZURE_LEGACY_QUOTED}?ssl=require",
    ),
    "Aiven": (f"postgres://{AIVEN}?sslmode=require", f"{AIVEN}?ssl=require"),
    "DigitalOcean": (f"postgresql://{DIGITALOCEAN}?sslmode=require", f"{DIGITALOCEAN}?ssl=require"),
    "Fly, managed": (f"postgresql://{FLY}", FLY),
    "Fly, internal": (f"postgres://{FLY_INTERNAL}?sslmode=disable", f"{FLY_INTERNAL}?ssl=disable"),
}


@pytest.mark.parametrize(("given", "expected"), CONVERTED.values(), ids=CONVERTED.keys())
def test_a_providers_url_is_converted(given: str, expected: str) -> None:
    converted = get_async_database_url(given)
    assert converted == f"postgresql+asyncpg://{expected}"
    assert make_url(converted).password == "made-up"
    assert "made-up" not in mask(given)
    assert mask(converted) == converted.replace("made-up", "***")


def test_rds_with_its_ca_bundle_is_refused_with_the_way_to_do_it() -> None:
    """A CA file can't be named in the URL, and dropping it would turn verification into a failure or off."""
    with pytest.raises(ValueError, match="sslrootcert") as refused:
        get_async_database_url(f"postgresql://{RDS}?sslmode=verify-full&sslrootcert=global-bundle.pem")
    assert "ssl.create_default_context(cafile=" in str(refused.value)
    assert 'connect_args={"ssl": context}' in str(refused.value)
    assert "PGSSLROOTCERT" in str(refused.value)
    assert "made-up" not in str(refused.value)
