"""JupyterHub for a class on one machine; hosting/README.md says what it needs and what it leaves to you.

jupyterhub --config hosting/jupyterhub_config.py
"""

import os
import sys
from pathlib import Path

COURSE = Path(__file__).resolve().parents[1]

c = get_config()  # type: ignore[name-defined] # noqa: F821 - JupyterHub defines it

# The Hub's secrets and its database, and whatever a learner's server makes, are for their owner alone.
os.umask(0o077)

# Reached from other machines only through a web server with TLS on this one: logins carry passwords.
c.JupyterHub.bind_url = "http://127.0.0.1:8000"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:8081"

# Each learner's server runs under the account of that name, which has to exist: the system keeps learners apart.
c.JupyterHub.spawner_class = "jupyterhub.spawner.LocalProcessSpawner"
c.Spawner.cmd = ["/bin/sh", str(COURSE / "hosting" / "start-learner.sh"), sys.executable, "-m", "jupyterhub.singleuser"]
c.Spawner.notebook_dir = "~/async-database-course"
c.Spawner.default_url = "/lab/tree/notebooks/00_start_here.ipynb"
c.Spawner.environment = {
    # The course's JupyterLab settings, and `course` in a terminal.
    "JUPYTER_CONFIG_PATH": str(COURSE / "course_lib" / "jupyter"),
    "PATH": os.pathsep.join([str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]),
}
c.Spawner.args = [
    # Whoever is on this machine can listen to a kernel on TCP: its outputs are signed, but not encrypted.
    "--KernelManager.transport=ipc",
    # A kernel takes its PostgreSQL with it when it ends. One that has an open tab is left alone.
    "--MappingKernelManager.cull_idle_timeout=3600",
    "--MappingKernelManager.cull_interval=300",
    "--ServerApp.shutdown_no_activity_timeout=7200",
]
# A whole class that comes at once on few cores waits longer than the defaults of 60 and 30 seconds.
c.Spawner.start_timeout = 300
c.Spawner.http_timeout = 300

c.JupyterHub.shutdown_on_logout = True
