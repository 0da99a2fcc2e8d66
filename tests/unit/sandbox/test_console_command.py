"""What a console is started as."""

from tests.support.runtime_guest import a_spec

from offload.worker.ports import VolumeBind
from offload.worker.runtimes.gvisor_container import console_entry as on_gvisor
from offload.worker.runtimes.sandbox_console import console_entry
from offload.worker.sandbox.guest import Enforced

NOTHING_ENFORCED = Enforced(memory=False, pids=False)


def test_a_console_has_the_limits_and_variables_of_the_guest_and_the_filter_of_system_calls():
    entry = console_entry(NOTHING_ENFORCED, b"calls", a_spec("ct-9"))

    assert {word.partition("=")[0] for word in entry.argv if "=" in word} == {
        "CORE", "NOFILE", "DATA", "NPROC",
    }  # fmt: skip
    assert entry.env["OFFLOAD_CONTAINER_ID"] == "ct-9"
    assert (entry.uid, entry.filter, entry.keeps_capabilities) == (1000, b"calls", False)


def test_on_gvisor_a_console_is_an_ordinary_user_who_owns_what_is_written_to_volumes():
    def volume(*, is_read_only: bool) -> VolumeBind:
        return VolumeBind("/somewhere", "/data", is_read_only)

    plain = on_gvisor(a_spec(), "name", NOTHING_ENFORCED).argv
    reading = on_gvisor(a_spec(volumes=(volume(is_read_only=True),)), "n", NOTHING_ENFORCED).argv
    writing = on_gvisor(a_spec(volumes=(volume(is_read_only=False),)), "n", NOTHING_ENFORCED).argv

    assert "1000:1000" in plain
    assert "1000:1000" in reading
    assert "0:0" in writing
    assert "OWNER=1000" in writing
    assert "OWNER=1000" not in plain
