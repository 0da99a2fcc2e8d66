import shutil
from pathlib import Path

from offload.worker.runtimes.packages import compile_guest, guest_packages


def test_what_the_guest_imports_is_compiled_after_an_install_that_did_not(tmp_path):
    packages = {}
    for name, path in guest_packages().items():
        packages[name] = str(tmp_path / name)
        shutil.copytree(path, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))

    compile_guest(packages)

    compiled = {path.name.partition(".")[0] for path in Path(tmp_path).rglob("*.pyc")}
    assert {"main", "execute", "messages", "chains", "errors", "cloudpickle"} <= compiled
    assert "app" not in compiled  # nothing that only the caller's side imports
