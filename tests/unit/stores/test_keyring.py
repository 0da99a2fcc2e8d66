"""The keys of secrets in their file, and what the cipher notices."""

from __future__ import annotations

import pytest

from offload.control.ports.sealed import KeyringError
from offload.control.stores.keyring import FileKeyring


@pytest.fixture
def path(tmp_path):
    return tmp_path / "secrets.key"


def test_a_box_opens_for_its_secret_and_shows_nothing_of_what_is_in_it(path):
    keyring = FileKeyring(path)

    key_id, box = keyring.seal("se-1", b"correct horse")

    assert keyring.open("se-1", key_id, box) == b"correct horse"
    assert b"correct" not in box


def test_the_same_text_is_never_the_same_box(path):
    keyring = FileKeyring(path)

    assert keyring.seal("se-1", b"x") != keyring.seal("se-1", b"x")


@pytest.mark.parametrize("at", [0, 11, 12, 20, -1])
def test_a_changed_box_is_noticed(path, at):
    keyring = FileKeyring(path)
    key_id, box = keyring.seal("se-1", b"correct horse")
    changed = bytearray(box)
    changed[at] ^= 1

    with pytest.raises(KeyringError, match="changed or damaged"):
        keyring.open("se-1", key_id, bytes(changed))


def test_a_box_of_another_secret_does_not_open(path):
    keyring = FileKeyring(path)
    key_id, box = keyring.seal("se-1", b"correct horse")

    with pytest.raises(KeyringError, match="changed or damaged"):
        keyring.open("se-2", key_id, box)


def test_the_file_is_made_on_first_need_and_for_its_owner_alone(path):
    keyring = FileKeyring(path)
    before = (keyring.current, path.exists())

    keyring.seal("se-1", b"x")

    assert before == ("", False)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in path.parent.iterdir()] == ["secrets.key"]


def test_another_process_opens_what_this_one_sealed(path):
    key_id, box = FileKeyring(path).seal("se-1", b"x")

    assert FileKeyring(path).open("se-1", key_id, box) == b"x"


def test_both_keys_open_until_the_old_one_is_dropped(path):
    keyring = FileKeyring(path)
    old_id, old = keyring.seal("se-1", b"old")

    keyring.add()
    new_id, new = keyring.seal("se-1", b"new")
    again = FileKeyring(path)

    assert keyring.current == new_id != old_id
    assert again.has_old
    assert (again.open("se-1", old_id, old), again.open("se-1", new_id, new)) == (b"old", b"new")


def test_what_a_dropped_key_sealed_says_which_key_is_missing(path):
    keyring = FileKeyring(path)
    old_id, old = keyring.seal("se-1", b"old")
    keyring.add()

    keyring.drop_old()

    assert not FileKeyring(path).has_old
    with pytest.raises(KeyringError, match=f"key {old_id}, which is not in .*: put the key file"):
        keyring.open("se-1", old_id, old)


def test_a_file_that_others_may_read_is_refused(path):
    FileKeyring(path).seal("se-1", b"x")
    path.chmod(0o640)

    with pytest.raises(KeyringError, match="chmod 600"):
        FileKeyring(path).seal("se-1", b"x")


@pytest.mark.parametrize("text", ["nonsense\n", "k1 AAAA\n", "k1 ***\n"])
def test_a_damaged_file_is_never_written_over(path, text):
    path.write_text(text)
    path.chmod(0o600)

    with pytest.raises(KeyringError, match="is damaged"):
        FileKeyring(path).seal("se-1", b"x")

    assert path.read_text() == text
