"""What a real process does behind its own back, told by Python's audit events from its first moment on."""

import os
from dataclasses import dataclass
from pathlib import Path

SITE = '''
"""Writes a line for each audit event of interest; by a handle that is open already, as opening is one itself."""

import os
import sys

TOLD = os.open(os.environ["WATCH_TO"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
KINDS = ("pickle.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork",
         "urllib.", "http.client.", "ftplib.", "smtplib.", "socket.connect", "socket.getaddrinfo", "socket.gethostby",
         "socket.sendto", "os.mkdir", "os.rename", "os.remove", "os.link", "os.symlink", "os.truncate", "tempfile.",
         "shutil.")


def tell(event, given):
    if event == "open" and not (isinstance(given[2], int) and given[2] & WRITING):
        return
    if event == "open" or event.startswith(KINDS):
        os.write(TOLD, f"{event} {given!r:.300}\\n".encode("utf-8", "replace"))


sys.addaudithook(tell)
'''


@dataclass(frozen=True, slots=True)
class Watch:
    """Reads what the process has told so far."""

    told: Path

    def lines(self) -> list[str]:
        return self.told.read_text(encoding="utf-8").splitlines()


def watched(folder: Path, environment: dict[str, str]) -> tuple[dict[str, str], Watch]:
    """The environment of a process that is watched; the folder takes what is needed for it."""
    (folder / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    watch = Watch(folder / "events")
    watch.told.touch()
    path = os.pathsep.join([str(folder), environment["PYTHONPATH"]])
    return {**environment, "PYTHONPATH": path, "WATCH_TO": str(watch.told)}, watch
