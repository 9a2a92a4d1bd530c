"""The settings of replicas: what is read of them, and what is refused."""

import pytest
from pydantic import ValidationError

from app.main import create_app
from app.replicas import Scale, each, of, scale, share
from app.settings import Settings
from models.registry import RegistryError
from tests.fakes import Brightness


def test_a_number_or_a_span() -> None:
    assert scale("2") == Scale(2, 2)
    assert scale("1-4") == Scale(1, 4)


@pytest.mark.parametrize("text", ["", "0", "0-2", "4-1", "1-", "-1", "many", "1.5", "99999"])
def test_no_number_of_replicas(text: str) -> None:
    with pytest.raises(ValueError, match="say"):
        scale(text)


@pytest.mark.parametrize("text", ["", "-1", ".5", "1e3", "nan", "inf"])
def test_no_share(text: str) -> None:
    with pytest.raises(ValueError, match="say"):
        share(text)


def test_what_is_not_named_has_what_all_others_have() -> None:
    told = each("1, damage=2-8", scale)
    assert of("damage", told, Scale(9, 9)) == Scale(2, 8)
    assert of("parts", told, Scale(9, 9)) == Scale(1, 1)
    assert of("parts", each("damage=0.5", share), 0.25) == 0.25


@pytest.mark.parametrize("wrong", [{"replicas": "1,damage=x"}, {"replica_gpus": "half"}, {"engine": "spark"}])
def test_settings_refuse_what_cannot_be_read(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        Settings(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("setting", ["replicas", "replica_cpus", "replica_gpus"])
def test_a_predictor_that_is_not_served_is_named_at_the_start(setting: str) -> None:
    def made(text: str) -> None:
        create_app(Settings(device="cpu", **{setting: text}), {"brightness": Brightness()}, [])  # type: ignore[arg-type]

    made("1,brightness=2")
    with pytest.raises(RegistryError, match=rf"CARLENS_{setting.upper()}: no predictor brighness: .* brightness"):
        made("1,brighness=2")
