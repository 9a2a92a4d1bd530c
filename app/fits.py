"""Whether a new version can take the place of the one that serves: what clients rely on must stay as it is."""

from app.schemas import AnyPredictor


class Unfit(Exception):
    """The new version would be another predictor; the text says in what."""


def check(old: AnyPredictor, new: AnyPredictor, version: str | None) -> None:
    """Raises `Unfit`. The routes, their options and the form of the answer are made at the start. Labels may come and
    go, but a head all of whose labels are others is most likely a file of another task."""
    before, after = old.specification, new.specification
    name = before.name
    if version is not None and new.card.version != version:
        raise Unfit(f"{name}: the predictor serves no version {version!r} beside its own ({new.card.version!r})")
    same = {
        "name": (before.name, after.name),
        "options": (before.options.model_json_schema(), after.options.model_json_schema()),
        "answer": (before.answer.model_json_schema(), after.answer.model_json_schema()),
        "regions": (before.regions, after.regions),
        "completed_by": (before.completed_by, after.completed_by),
        "drawable": (before.drawable, after.drawable),
        "legend": (bool(before.legend), bool(after.legend)),
    }
    if changed := [what for what, (one, other) in same.items() if one != other]:
        raise Unfit(
            f"{name} {new.card.version}: its {', '.join(changed)} are not those that are served; start the service anew"
        )
    for head, labels in old.card.labels.items():
        found = new.card.labels.get(head, [])
        if labels and not set(labels) & set(found):
            shown = ", ".join(found[:3]) or "none"
            raise Unfit(
                f"{name} {new.card.version}: foreign labels: {head} has {shown}, none of those that are served "
                f"({', '.join(labels[:3])}, …); start the service anew to serve them under this name"
            )
