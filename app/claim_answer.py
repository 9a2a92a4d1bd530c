"""The answer to one claim: each photo's entry as soon as it is ready, and the roll-up of all at the end."""

import json
from collections.abc import Callable, Mapping, Sequence

from starlette.requests import Request

from app import inspected, intake, schemas
from app.accept import language
from app.album import Arrived, open_album
from app.ask import Ask, Call
from app.claim_schemas import ClaimTimings
from app.claims import Claiming
from app.door import Door, late
from app.errors import DeadlineExceeded, PredictionFailed, Problem
from app.pipeline import Seen
from app.places import Places
from app.round import as_ms
from app.schemas import AnyPredictor
from app.settings import Settings
from app.together import Joined
from models.claim.rollup import claim as rolled_up
from models.claim.sight import Sight
from models.language import codes
from models.language import language as texts
from models.predictor import Card, Options

Put = Callable[[bytes], None]


class ClaimAnswer:
    """`enter`, then `run`. `entries` are the photos' by index, as JSON; `told_in` is the language of texts."""

    def __init__(
        self,
        request: Request,
        settings: Settings,
        predictors: Mapping[str, AnyPredictor],
        door: Door,
        places: Places,
        options: Options,
    ) -> None:
        self.entries: dict[int, bytes] = {}
        self.told_in = language(",".join(request.headers.getlist("accept-language")), codes())
        self._texts = texts(self.told_in)
        self._request = request
        self._settings = settings
        self._door = door
        self._places = places
        self._asks = inspected.asked(options, predictors, door.shelf)
        self._cropped = getattr(options, "vehicle", "auto") == "whole"
        # whether a photo is a close-up is told by the vehicle in it, also where nobody asked for that
        self._beside = [] if self._cropped else _finders(self._asks, predictors, door)
        self._sure = _thresholds(self._asks)
        self._problems: dict[int, Problem] = {}
        self._late = False
        self._sights: list[Sight] = []
        self._put: Put = lambda entry: None

    async def enter(self) -> None:
        """Raises the problem of a claim that cannot be taken, before anything of its body is read."""
        settings, door = self._settings, self._door
        seconds = intake.deadline(self._request, settings.default_claim_deadline_ms, settings.max_claim_deadline_ms)
        visit = await door.let_in(self._request, [*self._asks, *self._beside], seconds)
        taken = {ask.name: ask for ask in visit.asks}
        if not any(ask.name in taken for ask in self._asks):
            raise visit.refused[self._asks[0].name]
        self._asks = [taken.get(ask.name, ask) for ask in self._asks]
        self._visit = visit
        album = open_album(self._request, settings, door.pipeline.clock)
        self._claiming = Claiming(self._request, settings, door, self._places, visit, album)

    @property
    def complete(self) -> bool:
        """Whether the whole form has come."""
        return self._claiming.whole.is_set()

    async def run(self, put: Put = lambda entry: None) -> dict[str, bytes]:
        """Hands each photo's entry to `put` as soon as it is ready; the answer's fields but `photos`. Raises the
        problem of the whole claim, `Overloaded` before anything of it is read; where the service is to blame that no
        photo has an answer, the first one's."""
        self._put = put
        visit, clock = self._visit, self._door.pipeline.clock
        if not await self._claiming.run(self._look) or self._late:
            self._too_late()
        if problem := self._blamed():
            raise problem
        began = clock()
        claim = rolled_up(sorted(self._sights, key=lambda sight: sight.index), self._texts)
        timings = ClaimTimings(
            receive=as_ms(self._claiming.receive_s), roll_up=as_ms(clock() - began), total=self._door.total_ms(visit)
        )
        return {
            "request_id": json.dumps(visit.call.request_id).encode(),
            "models": inspected.models(self._asks),
            "claim": schemas.json_of(claim),
            "complete": json.dumps(self.complete).encode(),
            "timings_ms": schemas.json_of(timings),
        }

    async def _look(self, arrived: Arrived, call: Call) -> None:
        visit = self._visit
        try:
            if arrived.problem is not None:
                raise arrived.problem
            look = self._door.pipeline.inspect(visit.asks, visit.refused, arrived.data, call, self._texts)
            self._answered(arrived, call, *await look)
        except DeadlineExceeded:
            self._late = True  # the deadline is the claim's: its end tells which photos were not done
        except Problem as problem:
            self._failed(arrived.index, problem)
        except Exception as error:
            failed = PredictionFailed(PredictionFailed.example)
            failed.__cause__ = error
            inspected.log_failures(call.request_id, {"a claim": failed})
            self._failed(arrived.index, failed)

    def _answered(self, arrived: Arrived, call: Call, seen: Seen, together: Joined, join_ms: float) -> None:
        outcomes = {ask.name: self._visit.refused.get(ask.name) or seen.outcomes[ask.name] for ask in self._asks}
        problems = {name: outcome for name, outcome in outcomes.items() if isinstance(outcome, Problem)}
        answers = {name: answer for name, answer in together.answers.items() if name in outcomes}
        inspected.log_failures(call.request_id, problems)
        timings = schemas.InspectTimings(
            receive=as_ms(arrived.ended - arrived.began),
            decode=seen.decode_ms,
            join=join_ms,
            total=as_ms(self._door.pipeline.clock() - arrived.began),
            tasks={name: answer.timings for name, answer in answers.items()},
        )
        problem = None if answers else problems[self._asks[0].name]
        if isinstance(problem, DeadlineExceeded):
            raise problem
        if problem is None:
            values = {name: answer.value for name, answer in together.answers.items()}
            self._sights.append(Sight(arrived.index, seen.header, values, self._cropped, self._sure))
        request_id = self._visit.call.request_id
        self._tell(
            arrived.index,
            problem,
            {
                "image": schemas.json_of(schemas.image_info(seen.header)),
                "results": inspected.results(self._asks, answers),
                "problems": inspected.told(request_id, problems),
                **inspected.added(self._door.pipeline.joins, together.added),
                "left_out": inspected.left_out(together.left_out),
                "timings_ms": schemas.json_of(timings, exclude_none=True),
            },
        )

    def _failed(self, index: int, problem: Problem) -> None:
        fields = {
            "image": b"null",
            "results": b"{}",
            "problems": b"{}",
            **inspected.added(self._door.pipeline.joins, {}),
            "left_out": b"{}",
            "timings_ms": b"null",
        }
        self._tell(index, problem, fields)

    def _tell(self, index: int, problem: Problem | None, fields: Mapping[str, bytes]) -> None:
        if problem is not None:
            self._problems[index] = problem
        body = None if problem is None else problem.body(self._visit.call.request_id)
        self.entries[index] = schemas.json_object(
            {
                "index": json.dumps(index).encode(),
                "file": json.dumps(self._claiming.album.names[index]).encode(),
                **fields,
                "problem": json.dumps(body).encode(),
            }
        )
        self._put(self.entries[index])

    def _blamed(self) -> Problem | None:
        """The first photo's problem, where none so far has an answer, and for each the service is to blame."""
        found = [self._problems[index] for index in sorted(self._problems)]
        alone = len(found) == len(self.entries) and all(problem.status >= 500 for problem in found)
        return found[0] if found and alone else None

    def _too_late(self) -> None:
        """Those that are not done have that problem; it is the whole claim's, and raised, where none is."""
        problem = late(self._visit.call.deadline - self._visit.started, body_open=not self.complete)
        if not self.entries or self._blamed():
            raise self._blamed() or problem
        for index in range(len(self._claiming.album.names)):
            if index not in self.entries:
                self._failed(index, problem)


def _thresholds(asks: Sequence[Ask]) -> dict[str, float]:
    """By label, the score from which a damage is sure enough: `min_score` may show more."""
    card = next((ask.predictor.card for ask in asks if ask.name == "damage"), Card())
    return {label: card.thresholds.get(label, 0.5) for label in card.labels.get("label", ())}


def _finders(asks: Sequence[Ask], predictors: Mapping[str, AnyPredictor], door: Door) -> list[Ask]:
    """One ask for each predictor that finds what those asked read, where it is not asked itself."""
    wanted = dict.fromkeys(name for ask in asks for name in ask.predictor.specification.finders)
    have = {ask.name for ask in asks}
    found = [predictors[name] for name in wanted if name in predictors and name not in have and door.shelf.offers(name)]
    return [Ask.of(one, one.specification.options()) for one in found]
