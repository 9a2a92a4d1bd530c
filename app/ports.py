"""The port to listen on: bound, or the reason why it cannot be, with who holds it where the system tells."""

import errno
import os
import socket
from pathlib import Path

TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
LISTENS = "0A"


class PortError(Exception):
    """A port that cannot be listened on; the text says why, and what to do."""


def bound(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket. Raises `PortError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=backlog)
    except (OSError, OverflowError) as error:
        number = error.errno if isinstance(error, OSError) else None
        taken = number == errno.EADDRINUSE
        # the system's own words: Python adds the address, and a name that is none has a number of its own
        reason = os.strerror(number) if number and number > 0 else str(error)
        by = f" by {who}" if taken and (who := holder(port)) else ""
        remedy = f"Choose another {'port' if taken else 'address or port'} with --port or CARLENS_PORT."
        raise PortError(f"cannot listen on {host}:{port}: {reason}{by}. {remedy}") from error


def holder(port: int) -> str | None:
    """Which process listens on the port, as `python (process 4711)`; None where the system does not tell us."""
    wanted = {f"socket:[{inode}]" for table in TABLES for inode in _listening(Path(table), port)}
    for process in Path("/proc").glob("[0-9]*") if wanted else ():
        try:
            if any(str(file.readlink()) in wanted for file in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:  # it has ended, or is another user's
            continue
    return None


def _listening(table: Path, port: int) -> set[str]:
    """The inodes of the sockets that listen on the port, from Linux's table of them."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return set()
    return {row[9] for row in rows if row[3] == LISTENS and int(row[1].rpartition(":")[2], 16) == port}
