"""Finding predictors: every entry point of the group `carlens.predictors`, the built-in ones among them."""

import inspect
import re
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from models.predictor import Predictor

GROUP = "carlens.predictors"
AnyPredictor = Predictor[Any, Any]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TAKEN = frozenset({"inspect", "models"})


class RegistryError(Exception):
    """A predictor that cannot be registered; the text names the entry point and what to mend."""


def discover(
    weights_dir: Path | None = None, wanted: Iterable[str] | None = None, points: Iterable[EntryPoint] | None = None
) -> dict[str, AnyPredictor]:
    """Predictors by name, in the order of their names; only `wanted` ones where that is given.

    An entry point names a callable without arguments that returns a `Predictor`; one that has a parameter
    `weights_dir` gets the setting of that name. Raises `RegistryError`, or what the predictor itself raises where its
    weights are missing or broken.
    """
    given = entry_points(group=GROUP) if points is None else points
    found = {point.name: point for point in sorted(given, key=lambda point: point.name)}
    names = list(found) if wanted is None else list(wanted)
    unknown = [name for name in names if name not in found]
    if unknown:
        raise RegistryError(f"no predictor {', '.join(unknown)}: installed are {', '.join(found) or 'none'}")
    return {name: _create(found[name], weights_dir) for name in names}


def _create(point: EntryPoint, weights_dir: Path | None) -> AnyPredictor:
    where = f"entry point {point.name} = {point.value}"
    if not _NAME.fullmatch(point.name) or point.name in _TAKEN:
        raise RegistryError(
            f"{where}: a name is lower-case letters, digits and _, and none of {', '.join(sorted(_TAKEN))}"
        )
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise RegistryError(f"{where}: cannot be imported ({error})") from error
    takes_folder = "weights_dir" in inspect.signature(factory).parameters
    predictor = factory(weights_dir=weights_dir) if takes_folder else factory()
    if not isinstance(predictor, Predictor):
        raise RegistryError(f"{where}: gave {type(predictor).__name__}, expected a models.predictor.Predictor")
    if predictor.specification.name != point.name:
        raise RegistryError(
            f"{where}: its specification is named {predictor.specification.name!r}, expected {point.name!r}"
        )
    return predictor
