"""The file of keys: what may stand in it, how a key is added, and that a change is taken without a restart."""

import hashlib
import hmac
import logging
import os
import stat
from pathlib import Path

import pytest

from app import keys
from app.keys import Key, Keys, KeysError

HASH = "sha256:" + "0" * 64
LINE = f'shop = {{ hash = "{HASH}", scopes = ["predict"] }}\n'


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def made(path: Path, name: str, *scopes: keys.Scope) -> str:
    token, key = keys.create(name, scopes)
    keys.append(path, key)
    return token


def test_a_token_is_256_random_bits_and_kept_as_its_hash_alone(tmp_path: Path) -> None:
    first, key = keys.create("shop", ["predict"])
    second, _ = keys.create("shop", ["predict"])
    assert first != second
    assert len(first.removeprefix("carlens_")) == 43  # 32 bytes in base64
    assert key.digest == hashlib.sha256(first.encode()).digest()
    keys.append(tmp_path / "keys.toml", key)
    assert first not in (tmp_path / "keys.toml").read_text()


@pytest.mark.parametrize("name", ["", "a b", "x" * 65, "a.b", "ä", 'a"b', "a\n"])
def test_a_name_fits_on_a_line(name: str) -> None:
    with pytest.raises(KeysError, match="no name for a key"):
        keys.create(name, ["predict"])


def test_a_scope_is_one_of_those_there_are() -> None:
    with pytest.raises(KeysError, match="the scopes of shop must be a list of predict, metrics, admin"):
        keys.create("shop", ["predict", "all"])


def test_a_line_is_read_as_it_was_written() -> None:
    key = Key("shop-1", bytes(range(32)), frozenset({"admin", "predict"}))
    assert keys.parse(keys.line(key), "keys.toml") == [key]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("shop = ", "f, not TOML"),
        (f'{LINE}\nother = {{ hash = "{HASH}", scopes = ["all"] }}', "f, line 3: the scopes of other"),
        (f'\nother = {{ hash = "{HASH}", scopes = [] }}', "f, line 2: the scopes of other"),
        (f'{LINE}other = {{ hash = "sha256:12", scopes = ["predict"] }}', "f, line 2: the hash of other"),
        (f'{LINE}other = {{ hash = 12, scopes = ["predict"] }}', "f, line 2: the hash of other"),
        (f'{LINE}[other]\nhash = "{HASH}"', "f, line 2: other must be"),
        ("other = 1", "f, line 1: other must be"),
        (f'other = {{ hash = "{HASH}", scopes = "predict" }}', "f, line 1: the scopes of other"),
        (f'"a b" = {{ hash = "{HASH}", scopes = ["predict"] }}', "f, line 1: 'a b' is no name"),
        (LINE + LINE, "line 2"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(KeysError) as caught:
        keys.parse(text, "f")
    assert told.replace("f, not", "f: not") in str(caught.value)


def test_the_file_is_the_owner_s_alone_and_what_stood_in_it_stays(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f"# ours\n{LINE.rstrip()}")  # an editor left the last line open
    path.chmod(0o644)
    made(path, "second", "metrics")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text().startswith(f"# ours\n{LINE}second = ")
    assert [key.name for key in keys.read(path)] == ["shop", "second"]
    assert [one.name for one in tmp_path.iterdir()] == ["keys.toml"]


def test_the_file_stays_its_owner_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root may make a key for a service that runs as somebody else."""
    path, given = tmp_path / "keys.toml", list[tuple[int, int]]()
    monkeypatch.setattr("os.chown", lambda _, user, group: given.append((user, group)))
    made(path, "first", "predict")
    assert given == []
    made(path, "second", "predict")
    assert given == [(path.stat().st_uid, path.stat().st_gid)]


def test_a_file_that_is_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "keys.toml")
    made(tmp_path / "link", "shop", "predict")
    assert (tmp_path / "link").is_symlink()
    assert [key.name for key in keys.read(tmp_path / "keys.toml")] == ["shop"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"# ours\n{LINE}", "line 2: there is a key 'shop' already"),
        (f'[other]\nhash = "{HASH}"\nscopes = ["predict"]\n', "ends within a table"),
        ("shop", "not TOML"),
    ],
)
def test_what_cannot_be_added_changes_nothing(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(text)
    with pytest.raises(KeysError, match=told):
        made(path, "shop", "predict")
    assert path.read_text() == text
    assert [one.name for one in tmp_path.iterdir()] == ["keys.toml"]


def test_a_write_that_fails_leaves_the_old_file_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(LINE)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(KeysError, match="cannot be written"):
        made(path, "second", "predict")
    assert path.read_text() == LINE
    assert [one.name for one in tmp_path.iterdir()] == ["keys.toml"]


def test_who_has_which_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    first, second = made(path, "first", "predict"), made(path, "second", "metrics", "admin")
    ring = Keys(path)
    for token, name, scopes in ((first, "first", {"predict"}), (second, "second", {"metrics", "admin"})):
        found = ring.find(token)
        assert found
        assert (found.name, set(found.scopes)) == (name, scopes)
    for wrong in ("", first[:-1], first + "x", first.upper(), "ä", keys.read(path)[0].digest.hex()):
        assert ring.find(wrong) is None


def test_every_key_is_compared_in_constant_time_whichever_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "keys.toml"
    tokens = [made(path, name, "predict") for name in ("first", "second", "third")]
    ring, compared = Keys(path), list[bytes]()
    compare = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append(other)
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    for token in (*tokens, "wrong"):
        compared.clear()
        ring.find(token)
        assert compared == [key.digest for key in keys.read(path)]


def test_keys_come_and_go_without_a_restart(tmp_path: Path) -> None:
    path, clock = tmp_path / "keys.toml", Clock()
    old = made(path, "old", "predict")
    ring = Keys(path, clock)
    new = made(path, "new", "predict")
    assert ring.find(new) is None  # not looked at again at once
    clock.now += keys.LOOK_S
    assert ring.find(new)
    path.write_text(keys.line(keys.read(path)[1]))
    clock.now += keys.LOOK_S
    assert ring.find(old) is None
    assert ring.find(new)
    path.write_text("")
    clock.now += keys.LOOK_S
    assert ring.find(new) is None


def test_the_file_is_looked_at_once_a_second_and_read_when_it_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, clock, looks, reads = tmp_path / "keys.toml", Clock(), list[Path](), list[Path]()
    token = made(path, "shop", "predict")
    ring = Keys(path, clock)
    see = Path.stat

    def counted(self: Path) -> os.stat_result:
        looks.append(self)
        return see(self)

    monkeypatch.setattr(Path, "stat", counted)
    monkeypatch.setattr(keys, "read", reads.append)
    for _ in range(100):
        ring.find(token)
        clock.now += 0.1
    assert len(looks) in (9, 10)
    assert reads == []


def test_a_broken_file_keeps_the_last_good_keys_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, clock = tmp_path / "keys.toml", Clock()
    token = made(path, "shop", "predict")
    ring, good = Keys(path, clock), path.read_text()
    with caplog.at_level(logging.INFO, "carlens"):
        for broken in (f"{good}other = 1\n", None):
            caplog.clear()
            if broken is None:
                path.unlink()
            else:
                path.write_text(broken)
            for _ in range(3):
                clock.now += keys.LOOK_S
                assert ring.find(token)
            (record,) = caplog.records
            assert record.levelname == "ERROR"
            assert str(path) in record.message
            assert ("line 2" if broken else "cannot be read") in record.message
        path.write_text(f"{good}\n")
        clock.now += keys.LOOK_S
        assert ring.find(token)
        assert "1 keys read" in caplog.records[-1].message


def test_a_broken_file_at_the_start_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysError, match="cannot be read"):
        Keys(tmp_path / "absent.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff")
    with pytest.raises(KeysError, match="not UTF-8"):
        Keys(tmp_path / "bytes.toml")
