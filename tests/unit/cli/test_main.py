import json
import subprocess
import sys

import pytest

from offload.cli.exits import Exit
from offload.cli.main import run_command
from offload.cli.progress import Rate
from offload.cli.show import ago, as_document, print_table
from offload.wire.gen import calls_pb2, cluster_pb2


def test_an_unknown_command_is_corrected(capsys):
    code = run_command(["statsu"])

    assert code == Exit.USAGE
    assert "Did you mean 'status'?" in capsys.readouterr().err


def test_an_error_is_json_where_json_was_asked_for(capsys):
    code = run_command(["run", "--json", "there-is-no-such-file.py"])

    error = json.loads(capsys.readouterr().out)["error"]
    assert code == Exit.NOT_FOUND
    assert error["exit_code"] == Exit.NOT_FOUND
    assert "there-is-no-such-file.py" in error["message"]


def test_a_wrong_option_is_json_where_json_was_asked_for(capsys):
    code = run_command(["status", "--json", "--nonsense"])

    assert code == Exit.USAGE
    assert "--nonsense" in json.loads(capsys.readouterr().out)["error"]["message"]


def test_a_wrong_label_is_named(capsys, tmp_path):
    code = run_command(["worker", "--data-dir", str(tmp_path), "--label", "nothing"])

    assert code == Exit.USAGE
    assert "--label: 'nothing' is not KEY=VALUE" in capsys.readouterr().err


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom offload.cli.main import run_command\nrun_command(['--help'])\n"
        "print(sorted({'grpc', 'picows', 'rich', 'asyncio', 'google.protobuf'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.splitlines()[-1] == "[]"


def test_a_piped_table_is_aligned_and_has_no_control_codes(capsys):
    print_table("Things", ("name", "n"), [("a", "1"), ("longer", "22")])

    assert capsys.readouterr().out == "Things:\n  NAME    N\n  a       1\n  longer  22\n"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s ago"), (90, "2 min ago"), (7200, "2 h ago"), (90000, "1 d ago")]
)
def test_how_long_ago_is_said_in_the_largest_unit_that_fits(seconds, text):
    assert ago(1000.0, 1000.0 + seconds) == text


def test_a_rate_forgets_what_is_long_past():
    rate = Rate()

    rate.add(0, 0.0)
    rate.add(1000, 100.0)
    rate.add(1020, 102.0)

    assert rate.per_second() == 10.0


def test_json_has_numbers_where_the_schema_has_numbers():
    call = as_document(calls_pb2.CallDescription(counts={"running": 3}))
    status = as_document(
        cluster_pb2.StatusReply(
            pending_total=2**40,
            workers=[cluster_pb2.WorkerStatus(labels={"zone": "7"})],
        )
    )

    assert call["counts"] == {"running": 3}
    assert status["pending_total"] == 2**40
    assert status["workers"][0]["labels"] == {"zone": "7"}


def test_the_list_of_calls_takes_its_options_also_without_its_name(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("OFFLOAD_DATA_DIR", str(tmp_path))

    codes = [
        run_command(["calls", "--open", "--json"]),
        run_command(["calls", "--json", "get", "fc-1"]),
    ]

    assert codes == [Exit.SERVER, Exit.SERVER]
    for line in capsys.readouterr().out.splitlines():
        assert "no local stack is running" in json.loads(line)["error"]["message"]
