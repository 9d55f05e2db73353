# %% right: the rules' own words
from course_lib.review import RULES
from course_lib.work import template, work_file

name = "relational-db-agent/SKILL.md"
head = template(name).split("\n\n")[0]
body = "\n".join(f"- {rule.title}. {rule.mend}" for rule in RULES)
skill_file = work_file(name, f"{head}\n\n{body}\n", replace=True)

# %% right: prose, given as a path
from course_lib.work import work_file

work_file(
    "relational-db-agent/SKILL.md",
    """---
name: relational-db-agent
description: Database code for our services.
---
Make one engine, with an async driver. Take DATABASE_URL in every form that a host hands out. Let no password
stand in code, defaults or comments, and print none. Ping before use, recycle after four minutes, bound the pool,
and let nobody wait longer than ten seconds for a connection. The default URL works without a server: SQLite.
Keep the TLS mode of the URL, verify certificates, and don't echo statements. The session dependency closes its
session, rolls back on an exception and never commits itself. Objects stay readable after a commit. Tables come
from migrations. Import the models in that module. Dispose of the engine at shutdown. Importing the module opens
no connection. Behind PgBouncer, switch the prepared statement cache off.
""",
    replace=True,
)
skill_file = "work/relational-db-agent/SKILL.md"

# %% wrong: url-forms | not asked for this: Every form of URL works
from course_lib.work import template, work_file

name = "relational-db-agent/SKILL.md"
skill_file = work_file(name, template(name) + "\nWrite good code.\n", replace=True)

# %% wrong: recycles | not asked for this: Idle connections are replaced
from course_lib.review import RULES
from course_lib.work import template, work_file

name = "relational-db-agent/SKILL.md"
head = template(name).split("\n\n")[0]
body = "\n".join(f"- {rule.title}. {rule.mend}" for rule in RULES if rule.id != "recycles")
skill_file = work_file(name, f"{head}\n\n{body}\n", replace=True)

# %% wrong: pgbouncer-settings | not asked for this: It works through a pooler
from course_lib.review import RULES
from course_lib.work import template, work_file

name = "relational-db-agent/SKILL.md"
body = "\n".join(f"- {rule.title}. {rule.mend}" for rule in RULES if rule.id != "pgbouncer-settings")
skill_file = work_file(name, f"{template(name)}\n\n{body}\n", replace=True)

# %% wrong: survives-restart | the opposite of what the review looks for
from course_lib.review import RULES
from course_lib.work import template, work_file

name = "relational-db-agent/SKILL.md"
body = "\n".join(f"- {rule.title}. {rule.mend}" for rule in RULES)
skill_file = work_file(name, f"{template(name)}\n{body}\n- Don't set pool_pre_ping.\n", replace=True)

# %% wrong: no-front-matter | begin as it did
from course_lib.review import RULES
from course_lib.work import work_file

body = "\n".join(f"- {rule.title}. {rule.mend}" for rule in RULES)
skill_file = work_file("relational-db-agent/SKILL.md", body, replace=True)

# %% wrong: too-long | an assistant reads all of it each time
from course_lib.work import template, work_file

name = "relational-db-agent/SKILL.md"
skill_file = work_file(name, template(name) + "Use pre-ping.\n" * 4000, replace=True)

# %% wrong: no-such-file | is not there
skill_file = "work/SKILLS.md"

# %% wrong: passes-no-file | an object of type `dict`
skill_file = {}

# %% wrong: passes-no-file | It got the text itself
from course_lib.work import template

skill_file = template("relational-db-agent/SKILL.md") + "- pool_pre_ping=True\n"

# %% wrong: passes-no-file | That is no path
skill_file = "work/\0.md"

# %% wrong: no-such-file | can't be read
from course_lib.work import work_folder

skill_file = work_folder() / "a folder"
skill_file.mkdir(parents=True)
