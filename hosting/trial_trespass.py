"""What one learner tries against another, in their own kernel and by their own token, and whether it gets through."""

import asyncio
import json
from typing import Any

from trial_learner import CellFailed, Learner

# Runs in the intruder's kernel. Each try is made on the intruder's own things too: there it has to get through.
_TRIES = """
import asyncio, glob, json, os, asyncpg, httpx, zmq, zmq.asyncio
async def _attempt(call):
    try:
        return bool(await asyncio.wait_for(call, 20))
    except Exception:
        return False
async def _files(home):
    return os.listdir(home)
async def _notebook(home):
    return open(home + "/async-database-course/notebooks/00_start_here.ipynb").read()
async def _changed(home):
    open(home + "/async-database-course/notebooks/00_start_here.ipynb", "a").close()
    return True
async def _keys(home):
    return [open(path).read() for path in glob.glob(home + "/.jupyter-run/kernel-*.json")]
async def _environment(pids):
    return any([await _attempt(_text(f"/proc/{pid}/environ")) for pid in pids])
async def _text(path):
    return open(path).read()
async def _signals(pids):
    return any([await _attempt(_signal(pid)) for pid in pids])
async def _signal(pid):
    os.kill(pid, 0)
    return True
async def _database(ports):
    return any(await asyncio.gather(*(_attempt(_login(port, *each)) for port in ports for each in words)))
async def _login(port, user, password):
    connection = await asyncpg.connect(
        host="127.0.0.1", port=port, user=user, password=password, database=database, ssl=False, timeout=8
    )
    await connection.close()
    return True
async def _jupyter(ports, name):
    return any(await asyncio.gather(*(_attempt(_contents(port, name)) for port in ports)))
async def _contents(port, name):
    headers = {"Authorization": "token " + os.environ["JUPYTERHUB_API_TOKEN"]}
    async with httpx.AsyncClient(trust_env=False, timeout=8) as client:
        return (await client.get(f"http://127.0.0.1:{port}/user/{name}/api/contents", headers=headers)).is_success
async def _overheard(ports):
    context = zmq.asyncio.Context()
    socket = context.socket(zmq.SUB)
    socket.subscribe(b"")
    for port in ports:
        socket.connect(f"tcp://127.0.0.1:{port}")
    try:
        return await asyncio.wait_for(socket.recv_multipart(), 4)
    finally:
        context.destroy(linger=0)
async def _tries(who):
    return {
        "listen to the kernel over TCP": await _attempt(_overheard(who["ports"])),
        "list the home folder": await _attempt(_files(who["home"])),
        "read a notebook": await _attempt(_notebook(who["home"])),
        "open a notebook to write": await _attempt(_changed(who["home"])),
        "read the kernel's keys": await _attempt(_keys(who["home"])),
        "read the processes' environment": await _attempt(_environment(who["pids"])),
        "signal the processes": await _attempt(_signals(who["pids"])),
        "log in to PostgreSQL": await _attempt(_database(who["ports"])),
        "use the Jupyter server's port": await _attempt(_jupyter(who["ports"], who["name"])),
    }
print(json.dumps([await _tries(who) for who in both]))
"""
_SERVER = """
from course_lib.servers import PostgresServer
_mine = await PostgresServer.start(tls=False)
"""
# The owner's kernel says something while the intruder listens.
_TALK = """
import asyncio
for _ in range(30):
    print(0)
    await asyncio.sleep(0.5)
"""
# Nobody gets through here, not even to one's own: the kernel talks through files.
CLOSED_TO_ALL = {"listen to the kernel over TCP"}


def _facts(learner: Learner) -> dict[str, Any]:
    account = learner.account
    pids = [process.pid for process in account.processes()]
    return {"name": account.name, "home": str(account.home), "pids": pids, "ports": sorted(account.ports())}


async def _through_the_hub(intruder: Learner, owner: Learner) -> dict[str, bool]:
    """Ask the Hub and the owner's server, through the proxy, with the intruder's token."""
    name = owner.account.name
    asked = {
        "ask the Hub about the learner": ("GET", f"/hub/api/users/{name}"),
        "make a token for the learner": ("POST", f"/hub/api/users/{name}/tokens"),
        "list files through the proxy": ("GET", f"/user/{name}/api/contents"),
        "list kernels through the proxy": ("GET", f"/user/{name}/api/kernels"),
    }
    return {what: (await intruder.ask(*how)).is_success for what, how in asked.items()}


async def trespass(intruder: Learner, owner: Learner) -> tuple[dict[str, bool], dict[str, bool]]:
    """Let a learner try to reach another's files, processes, servers and kernel, knowing all there is to find out.

    Returns:
        What got through to the other learner, and, as the control, what got through to the intruder's own.

    Raises:
        CellFailed: the tries could not be made.
    """
    await asyncio.gather(intruder.run(_SERVER), owner.run(_SERVER))
    own = await intruder.run("print(_mine.url.username, _mine.url.password, _mine.url.database)")
    user, password, database = own.printed.split()
    words = [
        (user, password),
        (user, ""),
        (user, user),
        ("postgres", password),
        ("postgres", "postgres"),
        ("postgres", ""),
    ]
    source = f"words, database = {words!r}, {database!r}\nboth = {[_facts(owner), _facts(intruder)]!r}\n{_TRIES}"
    talking = asyncio.create_task(owner.run(_TALK))
    try:
        said = await intruder.run(source)
        # What others send to a kernel's ports it may complain about before.
        other, mine = json.loads(said.printed.splitlines()[-1])
    except (IndexError, ValueError):
        raise CellFailed(f"The tries printed {said.printed[:200]!r}.") from None
    finally:
        await talking
    return other | await _through_the_hub(intruder, owner), mine | await _through_the_hub(intruder, intruder)
