"""What can go wrong with a server. Each message says what happened, why, and the next step."""


class ServerError(RuntimeError):
    """A server could not be started, used or stopped."""

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this: in a notebook the message counts, not the lines of ours that led to it.
        return [f"{type(self).__name__}: {self}"]


class MissingBinaryError(ServerError):
    """There is no usable program to run on this machine."""


class NoOpenSSLError(ServerError):
    """TLS was asked of a PostgreSQL that was built without OpenSSL."""


class PortTakenError(ServerError):
    """The port is in use by another program."""


class DiskFullError(ServerError):
    """There is no room (or no quota) for the server's files."""


class SettingError(ServerError):
    """PostgreSQL does not know a setting, refuses its value, or the course sets it itself."""


class ServerCrashedError(ServerError):
    """The server's process ended without being asked to."""
