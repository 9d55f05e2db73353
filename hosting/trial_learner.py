"""A learner of a trial Hub: logs in as a browser does, and runs cells through the proxy."""

import asyncio
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx
from tornado.httpclient import HTTPRequest
from tornado.websocket import WebSocketClientConnection, websocket_connect
from trial_hub import Account, TrialHub


class CellFailed(Exception):
    """A cell ended with an error, or not in time; the message holds the error's own words."""


@dataclass
class Output:
    """What a cell showed: its printed text and, of each displayed object, the plain text."""

    printed: str = ""
    shown: list[str] = field(default_factory=list)


class Learner:
    """One learner with one kernel; use it as ``async with Learner(hub, account) as learner``.

    Entering logs in and starts the learner's server. Leaving closes the connections and stops nothing: `logout` does.
    """

    def __init__(self, hub: TrialHub, account: Account) -> None:
        self.account = account
        self._hub = hub
        self._client = httpx.AsyncClient(base_url=hub.url, timeout=600, trust_env=False)
        self.token = ""
        self._socket: WebSocketClientConnection | None = None
        self._session = uuid.uuid4().hex

    async def __aenter__(self) -> "Learner":
        await self._login()
        await self._start_server()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._socket is not None:
            self._socket.close()
        await self._client.aclose()

    async def _login(self) -> None:
        name, password = self.account.name, self._hub.password
        page = await self._client.get("/hub/login", headers={"Sec-Fetch-Mode": "navigate"})
        page.raise_for_status()
        form = {"username": name, "password": password, "_xsrf": self._client.cookies["_xsrf"]}
        answer = await self._client.post("/hub/login", data=form)
        if answer.status_code != 302:
            raise RuntimeError(f"The Hub refused the login: status {answer.status_code}.")
        auth = {"auth": {"username": name, "password": password}}
        made = await self.ask("POST", f"/hub/api/users/{name}/tokens", json=auth)
        made.raise_for_status()
        self.token = made.json()["token"]

    async def _start_server(self) -> None:
        (await self.ask("POST", f"/hub/api/users/{self.account.name}/server")).raise_for_status()
        await self._until_servers(1)

    async def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        """Send a request with this learner's token, and without the cookies of the login."""
        headers = {"Authorization": f"token {self.token}"} if self.token else {}
        async with httpx.AsyncClient(base_url=self._hub.url, timeout=600, trust_env=False) as client:
            return await client.request(method, path, headers=headers, **how)

    async def start_kernel(self) -> None:
        """Start a kernel beside the notebooks, and connect to it through the proxy."""
        base = f"/user/{self.account.name}/api/kernels"
        made = await self.ask("POST", base, json={"name": "python3", "path": "notebooks"})
        made.raise_for_status()
        address = f"{self._hub.url.replace('http', 'ws', 1)}{base}/{made.json()['id']}/channels"
        request = HTTPRequest(
            f"{address}?session_id={self._session}",
            headers={"Authorization": f"token {self.token}"},
            request_timeout=600,
        )
        self._socket = await websocket_connect(request, max_message_size=100 * 2**20)

    async def run(self, code: str, *, seconds: float = 600) -> Output:
        """Run a cell to its end.

        Raises:
            CellFailed: it raised an error, or took longer than ``seconds``.
        """
        try:
            return await asyncio.wait_for(self._run(code), seconds)
        except TimeoutError:
            raise CellFailed(f"It took longer than {seconds:.0f} s.") from None

    async def _run(self, code: str) -> Output:
        assert self._socket is not None, "start_kernel first"
        number = uuid.uuid4().hex
        kind = {"msg_id": number, "msg_type": "execute_request", "session": self._session, "username": ""}
        content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False}
        message = {"channel": "shell", "header": kind | {"version": "5.3"}, "parent_header": {}, "metadata": {}}
        await self._socket.write_message(json.dumps(message | {"content": content, "buffers": []}))
        output, failure, ends = Output(), "", set[str]()
        while ends != {"idle", "reply"}:
            text = await self._socket.read_message()
            if text is None:
                raise CellFailed("The connection to the kernel was closed.")
            said = json.loads(
                text if isinstance(text, str) else text[int.from_bytes(text[4:8], "big") :].split(b"\0")[0]
            )
            if said["parent_header"].get("msg_id") != number:
                continue
            what, inside = said["msg_type"], said["content"]
            if what == "stream":
                output.printed += inside["text"]
            elif what in ("display_data", "execute_result"):
                output.shown.append(inside["data"].get("text/plain", ""))
            elif what == "error":
                failure = f"{inside['ename']}: {inside['evalue']}"
            elif what == "execute_reply":
                ends.add("reply")
            elif what == "status" and inside["execution_state"] == "idle":
                ends.add("idle")
        if failure:
            raise CellFailed(failure)
        return output

    async def stop_server(self) -> None:
        """Stop this learner's server, as the button in the Hub's control panel does."""
        (await self.ask("DELETE", f"/hub/api/users/{self.account.name}/server")).raise_for_status()
        await self._until_servers(0)

    async def _until_servers(self, number: int) -> None:
        """Wait until the Hub says that this learner has so many servers at work: one that starts has no address yet."""
        while True:
            answer = await self.ask("GET", f"/hub/api/users/{self.account.name}")
            servers = answer.raise_for_status().json()["servers"].values()
            if len(servers) == number and all(server["ready"] for server in servers):
                return
            await asyncio.sleep(0.5)

    async def logout(self) -> None:
        """Log out with the cookies of the login; the Hub then stops this learner's server."""
        answer = await self._client.get("/hub/logout", headers={"Sec-Fetch-Mode": "navigate"})
        if answer.status_code != 302:
            raise RuntimeError(f"The Hub refused the logout: status {answer.status_code}.")


async def until_gone(account: Account, *, seconds: float = 60) -> list[str]:
    """Wait for the end of everything that runs for a learner; return what is left after that time."""
    left: list[str] = []
    for _ in range(int(seconds * 4)):
        running = [f"process {process.pid}" for process in account.processes()]
        left = [*running, *(f"port {port}" for port in account.ports()), *(path.name for path in account.servers())]
        if not left:
            break
        await asyncio.sleep(0.25)
    return left


def solution_cells(cells: Iterable[Any]) -> list[str]:
    """Return the code of a notebook's code cells."""
    return [cell.source for cell in cells if cell.cell_type == "code"]
