"""Finding what is installed: predictors, by the entry points of `carlens.predictors` and by weights of one's own in a
folder; and joins, by those of `carlens.joins`."""

import inspect
import re
from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from models.backends import AUTO
from models.join import Join, ordered
from models.manifest import BESIDE, WeightsError, find
from models.predictor import Predictor

GROUP = "carlens.predictors"
KINDS = "carlens.kinds"
"""Entry points that serve any weights of the kind they are called after: `factory(weights_dir=…, name=…)`."""

JOINS = "carlens.joins"

AnyPredictor = Predictor[Any, Any]
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_TAKEN = frozenset({"inspect", "models", "box", "photo"})
"""Routes and sources of regions that are no predictors."""


class RegistryError(Exception):
    """A predictor that cannot be registered; the text names the entry point or file, and what to mend."""


def discover(
    weights_dir: Path | None = None,
    wanted: Iterable[str] | None = None,
    points: Iterable[EntryPoint] | None = None,
    backends: Mapping[str, str] | None = None,
    cache_dir: Path | None = None,
    threads: int | None = None,
) -> dict[str, AnyPredictor]:
    """Predictors by name, in the order of their names; only `wanted` ones, in their order, where that is given.

    An entry point names a callable without arguments that returns a `Predictor`; one that has parameters
    `weights_dir`, `cache_dir`, `threads` or `backend` gets the settings of these names, of `backends` that under its
    own name, or under `""`, which is for all others; `threads` of the CPU are given where processes share the cores.
    Weights in `weights_dir` under a name that no entry point has are served by their manifest's kind. A predictor whose
    regions a wanted one reads, or who completes its answer, comes after the wanted ones. Raises `RegistryError`, or
    what the predictor itself raises where its weights are missing or broken.
    """
    given = entry_points(group=GROUP) if points is None else points
    found = {point.name: point for point in given}
    there = sorted({*found, *_stems(weights_dir)})
    if unknown := [name for name in backends or {} if name and name not in there]:
        raise RegistryError(f"a backend is set for {', '.join(unknown)}: installed are {', '.join(there) or 'none'}")
    names, made = choose(there, wanted), dict[str, AnyPredictor]()
    for name in names:
        settings = _settings(name, weights_dir, backends, cache_dir, threads)
        made[name] = _create(found[name], settings) if name in found else _of_kind(name, settings)
        names += _needed(made[name], there, names)
    return made


def create(
    name: str,
    version: str | None = None,
    weights_dir: Path | None = None,
    backends: Mapping[str, str] | None = None,
    cache_dir: Path | None = None,
    threads: int | None = None,
) -> AnyPredictor:
    """One predictor anew, as `discover` makes it, from its files as they are now; with a `version`, of those beside
    (`versions`). Raises as `discover` does."""
    settings = {**_settings(name, weights_dir, backends, cache_dir, threads), "version": version}
    for point in entry_points(group=GROUP):
        if point.name == name:
            return _create(point, settings)
    return _of_kind(name, settings)


def versions(name: str, weights_dir: Path | None) -> list[str]:
    """The versions of that name that lie beside it in the folder, as `NAME@VERSION.json` and `.safetensors`."""
    pairs = (stem.split(BESIDE, 1) for stem in _files(weights_dir) if BESIDE in stem)
    return sorted(version for owner, version in pairs if owner == name)


def _settings(
    name: str,
    weights_dir: Path | None,
    backends: Mapping[str, str] | None,
    cache_dir: Path | None,
    threads: int | None,
) -> dict[str, Any]:
    """What the predictor of that name may have parameters for."""
    chosen = backends or {}
    backend = chosen.get(name, chosen.get("", AUTO))
    share = {} if threads is None else {"threads": threads}  # a predictor's own default stays
    return {"weights_dir": weights_dir, "cache_dir": cache_dir, "backend": backend, **share}


def joins(points: Iterable[EntryPoint] | None = None) -> list[Join]:
    """The installed joins, by name, each after those that change what it reads.

    Raises `RegistryError` where one cannot be imported or is none, and where two wait for each other.
    """
    found = []
    for point in sorted(entry_points(group=JOINS) if points is None else points, key=lambda one: one.name):
        where = f"entry point {point.name} = {point.value}"
        try:
            join = point.load()
        except (ImportError, AttributeError, ValueError) as error:
            raise RegistryError(f"{where}: cannot be imported ({error})") from error
        if not isinstance(join, Join) or join.name != point.name:
            raise RegistryError(f"{where}: gave {join!r:.60}, expected a models.join.Join named {point.name!r}")
        found.append(join)
    try:
        return ordered(found)
    except ValueError as error:
        raise RegistryError(str(error)) from error


def _needed(predictor: AnyPredictor, there: Iterable[str], names: Iterable[str]) -> list[str]:
    """The predictors, not among `names`, whose regions this one reads, or who complete its answer. Raises where there
    is no such predictor."""
    specification = predictor.specification
    others = (*specification.finders, *specification.completed_by)
    for other in others:
        if other not in there:
            raise RegistryError(
                f"{specification.name}: its specification counts on {other!r}, which is no installed predictor"
            )
    return [other for other in others if other not in names]


def choose(there: Iterable[str], wanted: Iterable[str] | None = None) -> list[str]:
    """The `wanted` names, in their order, or all that are there. Raises `RegistryError` naming those that are not."""
    known = list(there)
    names = known if wanted is None else list(dict.fromkeys(wanted))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise RegistryError(f"no predictor {', '.join(unknown)}: installed are {', '.join(known) or 'none'}")
    return names


def _stems(folder: Path | None) -> set[str]:
    """Names that the folder has weights for."""
    return {stem for stem in _files(folder) if BESIDE not in stem}


def _files(folder: Path | None) -> set[str]:
    """The manifests and weights in the folder, without suffix, those of hidden files left out."""
    if folder is None:
        return set()
    try:
        files = list(folder.iterdir())
    except OSError as error:
        raise WeightsError(f"{folder}: the folder of weights cannot be read ({error.strerror})") from error
    return {f.stem for f in files if f.suffix in (".json", ".safetensors") and not f.name.startswith(".")}


def _of_kind(name: str, settings: Mapping[str, Any]) -> AnyPredictor:
    """The predictor that serves the folder's weights of that name."""
    folder = settings["weights_dir"]
    _check(name, f"{folder}/{name}.json")
    kind = find(name, folder, settings.get("version")).manifest.kind
    factory = server(name, kind)
    predictor = factory(name=name, **_taken(factory, settings))
    if not isinstance(predictor, Predictor):
        raise RegistryError(f"entry point {KINDS}: {kind} gave {type(predictor).__name__}")
    return predictor


def server(name: str, kind: str) -> Any:
    """What serves weights of that name and kind: the predictor of that name where one is installed, else the kind's.

    Raises `RegistryError` where the name makes no route, or nothing serves the kind.
    """
    named = {point.name: point for point in entry_points(group=GROUP)}
    if name in named:
        return named[name].load()
    _check(name, f"weights {name!r}")
    kinds = {point.name: point for point in entry_points(group=KINDS)}
    if kind not in kinds:
        raise RegistryError(f"weights {name!r}: kind {kind!r} is served by none of {', '.join(kinds)}")
    return kinds[kind].load()


def _check(name: str, where: str) -> None:
    """Raises where the name makes no route, or no field of the answer to `inspect`."""
    if not _NAME.fullmatch(name) or name in _TAKEN or hasattr(BaseModel, name):
        raise RegistryError(
            f"{where}: a name is lower-case letters, digits and _, and none of {', '.join(sorted(_TAKEN))} or of the "
            "words that pydantic keeps for itself"
        )


def _taken(factory: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the settings that the factory has parameters for."""
    parameters = inspect.signature(factory).parameters
    return {name: value for name, value in settings.items() if name in parameters}


def _create(point: EntryPoint, settings: Mapping[str, Any]) -> AnyPredictor:
    where = f"entry point {point.name} = {point.value}"
    _check(point.name, where)
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise RegistryError(f"{where}: cannot be imported ({error})") from error
    predictor = factory(**_taken(factory, settings))
    if not isinstance(predictor, Predictor):
        raise RegistryError(f"{where}: gave {type(predictor).__name__}, expected a models.predictor.Predictor")
    if predictor.specification.name != point.name:
        raise RegistryError(
            f"{where}: its specification is named {predictor.specification.name!r}, expected {point.name!r}"
        )
    return predictor
