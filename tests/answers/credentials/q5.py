# %% right: in other words, role by role
def grants(schema, application, reader):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"grant usage on schema {schema} to {application};",
        f"grant usage on schema {schema} to {reader};",
        f"grant {rows} on all tables in schema {schema} to {application};",
        f"grant usage, select on all sequences in schema {schema} to {application};",
        f"grant select on all tables in schema {schema} to {reader};",
        f"alter default privileges in schema {schema} grant {rows} on tables to {application};",
        f"alter default privileges in schema {schema} grant usage, select on sequences to {application};",
        f"alter default privileges in schema {schema} grant select on tables to {reader};",
    ]


# %% right: one text, default privileges in every schema
def grants(schema, application, reader):
    return f"""
        GRANT USAGE ON SCHEMA {schema} TO {application}, {reader};
        GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {application}, {reader};
        GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {application};
        GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {application};
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {application}, {reader};
        ALTER DEFAULT PRIVILEGES GRANT INSERT, UPDATE, DELETE ON TABLES TO {application};
        ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {application};
    """


# %% right: async, text clauses, all rights on sequences
from sqlalchemy import text


async def grants(schema, application, reader):
    return [
        text(each)
        for each in (
            f'GRANT USAGE ON SCHEMA "{schema}" TO "{application}", "{reader}"',
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "{schema}" TO "{application}"',
            f'GRANT ALL ON ALL SEQUENCES IN SCHEMA "{schema}" TO "{application}"',
            f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO "{reader}"',
            f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" '
            f'GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO "{application}"',
            f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT ALL ON SEQUENCES TO "{application}"',
            f'ALTER DEFAULT PRIVILEGES IN SCHEMA "{schema}" GRANT SELECT ON TABLES TO "{reader}"',
        )
    ]


# %% right: with comments and empty statements
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return ["-- grants", f"REVOKE ALL ON SCHEMA {s} FROM PUBLIC", *base, ";", ""]


# %% wrong: makes-it-the-owner | The application can drop the table
def grants(schema, application, reader):
    return [
        f"GRANT USAGE, CREATE ON SCHEMA {schema} TO {application}",
        f"ALTER TABLE {schema}.item OWNER TO {application}",
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
    ]


# %% wrong: makes-it-the-owner | or is a superuser
def grants(schema, application, reader):
    return [f"ALTER ROLE {application} SUPERUSER"]


# %% wrong: forgets-the-schema | Without `USAGE` on the schema
def grants(schema, application, reader):
    return [
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
    ]


# %% wrong: forgets-sequences | takes its number from a sequence
def grants(schema, application, reader):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rows} ON TABLES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ]


# %% wrong: forgets-future-tables | means the tables that exist now
def grants(schema, application, reader):
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ]


# %% wrong: forgets-later-sequences | for later ones with
def grants(schema, application, reader):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rows} ON TABLES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ]


# %% wrong: forgets-existing-tables | The table that exists got nothing
def grants(schema, application, reader):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rows} ON TABLES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ]


# %% wrong: forgets-a-right | lacks the right to DELETE
def grants(schema, application, reader):
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
    ]


# %% wrong: forgets-the-reader | The reader can't select from a table that the owner made afterwards
def grants(schema, application, reader):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rows} ON TABLES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {application}",
    ]


# %% wrong: grants-all | `ALL` includes `TRUNCATE`
def grants(schema, application, reader):
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {application}, {reader}",
        f"GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT ALL ON TABLES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT ALL ON SEQUENCES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ]


# %% wrong: grants-create | `ALL` on a schema includes `CREATE`
def grants(schema, application, reader):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    return [
        f"GRANT ALL ON SCHEMA {schema} TO {application}",
        f"GRANT USAGE ON SCHEMA {schema} TO {reader}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {schema} TO {application}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {application}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {reader}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rows} ON TABLES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {application}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT SELECT ON TABLES TO {reader}",
    ]


# %% wrong: reader-can-write | A role for reports reads
def grants(schema, application, reader):
    rows, both = "SELECT, INSERT, UPDATE, DELETE", f"{application}, {reader}"
    return [
        f"GRANT USAGE ON SCHEMA {schema} TO {both}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {schema} TO {both}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {both}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT {rows} ON TABLES TO {both}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT USAGE ON SEQUENCES TO {both}",
    ]


# %% wrong: statement-refused | syntax error
def grants(schema, application, reader):
    return [f"GRANT USAGE ON SCHEME {schema} TO {application}"]


# %% wrong: grants-more | The reader has a right
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return base + [f"GRANT TRIGGER, REFERENCES ON ALL TABLES IN SCHEMA {s} TO {r}"]


# %% wrong: grants-more | The application has a right
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return base + [f"GRANT TRIGGER, REFERENCES ON ALL TABLES IN SCHEMA {s} TO {a}"]


# %% wrong: with-grant-option | pass its rights on
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return [x + (" WITH GRANT OPTION" if x.startswith("GRANT") else "") for x in base]


# %% wrong: grants-more | elsewhere in the database
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return base + [f"DO $$ BEGIN EXECUTE format('GRANT ALL ON DATABASE %I TO {a}', current_database()); END $$"]


# %% wrong: grants-to-public | `PUBLIC` means everybody
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return base + [f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO PUBLIC"]


# %% wrong: statement-hangs | did not end within 3 seconds
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return ["SELECT pg_sleep(60)"]


# %% wrong: statement-refused | surrogates not allowed
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return ["GRANT \udcff"]


# %% wrong: leaves-a-transaction-open | left a transaction open
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return ["BEGIN", *base]


# %% wrong: returns-no-statements | there is int in it
def grants(s, a, r):
    rows = "SELECT, INSERT, UPDATE, DELETE"
    base = [
        f"GRANT USAGE ON SCHEMA {s} TO {a}, {r}",
        f"GRANT {rows} ON ALL TABLES IN SCHEMA {s} TO {a}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA {s} TO {a}",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {s} TO {r}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT {rows} ON TABLES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT USAGE ON SEQUENCES TO {a}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {s} GRANT SELECT ON TABLES TO {r}",
    ]
    return [1, 2]


# %% error: making and filling tables after your statements had run
def grants(schema, application, reader):
    return [f"DROP TABLE {schema}.item"]


# %% timed out: waits for ever
def grants(schema, application, reader):
    while True:
        pass
