"""Who is asked along with what was asked: those who find its regions, and those who complete its answer."""

from collections.abc import Mapping, Sequence

from app.ask import Ask, Loaded
from app.locate import source
from app.schemas import AnyPredictor


def locators(asks: Sequence[Ask], sources: dict[str, str], served: Mapping[str, Loaded]) -> list[Ask]:
    """One ask for every served predictor that is to find regions for the asks and is not among them; `sources` is
    extended by theirs."""
    found = list(asks)
    for ask in found:
        name = sources[ask.name]
        if name in served and name not in sources:
            predictor = served[name].predictor
            one = Ask(predictor, predictor.specification.options(), lane=served[name].lane)
            sources[name] = source(one.predictor.specification, None, one.options, served)
            found.append(one)
    return found[len(asks) :]


def completers(asks: Sequence[Ask], sources: dict[str, str], served: Mapping[str, Loaded]) -> dict[str, list[Ask]]:
    """By the name of what is asked: one ask for each served predictor that completes its answer, about every region of
    it; `sources` is extended by theirs."""
    found: dict[str, list[Ask]] = {}
    for ask in asks:
        for name in ask.predictor.specification.completed_by:
            if name in served and name not in sources:
                predictor, lane = served[name].predictor, served[name].lane
                one = Ask(predictor, predictor.specification.options(), every=True, only=True, lane=lane)
                sources[name] = ask.name
                found.setdefault(ask.name, []).append(one)
    return found


def silent(served: Mapping[str, AnyPredictor]) -> set[str]:
    """The names of those that complete others' answers: they have no route of their own."""
    return {name for one in served.values() for name in one.specification.completed_by if name in served}
