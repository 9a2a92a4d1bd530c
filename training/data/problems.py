"""What is wrong with a set of photos, gathered and told at once."""

from collections.abc import Iterator
from contextlib import contextmanager

SHOWN = 20


class DataError(ValueError):
    """A set that cannot be trained on. `problems` names file, line or id of each, and what is wrong with it."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = problems
        rest = len(problems) - SHOWN
        shown = problems[:SHOWN] + ([f"… and {rest} more"] if rest > 0 else [])
        super().__init__("\n".join(shown) if len(problems) == 1 else f"{len(problems)} problems:\n" + "\n".join(shown))


class Problems:
    """A list of problems that is raised as one `DataError` where it is not empty."""

    def __init__(self) -> None:
        self.found: list[str] = []

    def add(self, where: object, what: str) -> None:
        """One problem: `where` is a file, or a file and a line or an id."""
        self.found.append(f"{where}: {what}")

    @contextmanager
    def gather(self) -> Iterator[None]:
        """Takes over what is wrong with one part of a set, so that the other parts are looked at too."""
        try:
            yield
        except DataError as error:
            self.found += error.problems
        except (ValueError, FileNotFoundError) as error:
            self.found.append(str(error))

    def check(self) -> None:
        """Raises `DataError` where something was found."""
        if self.found:
            raise DataError(list(dict.fromkeys(self.found)))
