"""Which GPUs a worker has, and what its containers are told of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from offload.worker.config import ConfigError, read_gpus
from offload.worker.core.gpus import gpu_environment, parse_gpus
from offload.worker.core.values import Gpu
from offload.worker.runtimes.gpus import find_gpus

if TYPE_CHECKING:
    from pathlib import Path

NO_PROGRAM = "no-such-program"


def a_driver(directory: Path, *devices: tuple[str, str, str, str]) -> Path:
    """Lay out what NVIDIA's driver shows of devices: bus address, number, name, UUID."""
    for address, number, name, uuid in devices:
        folder = directory / "gpus" / address
        folder.mkdir(parents=True)
        lines = (
            f"Model: \t\t {name}",
            "IRQ:   \t\t 120",
            f"GPU UUID: \t {uuid}",
            "Video BIOS: \t 96.00.61.00.01",
            f"Bus Location: \t {address}",
            f"Device Minor: \t {number}",
        )
        (folder / "information").write_text("\n".join(lines) + "\n")
    return directory


def a_program(directory: Path, body: str) -> str:
    program = directory / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("none", ()),
        ("0", ()),
        ("2:H100", (Gpu(0, "H100"), Gpu(1, "H100"))),
        ("1: NVIDIA H100 80GB HBM3", (Gpu(0, "NVIDIA H100 80GB HBM3"),)),
        ("1:A100, 0:H100", (Gpu(0, "H100"), Gpu(1, "A100"))),
        ("6:H100,7:H100", (Gpu(6, "H100"), Gpu(7, "H100"))),
    ],
)
def test_gpus_are_named_by_count_or_each_by_its_number(text: str, gpus: tuple[Gpu, ...]) -> None:
    assert parse_gpus(text) == gpus


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2", "'2' is no list of GPUs: use none, COUNT:KIND as in 2:H100, or each device with"),
        ("H100", "'H100' is no list of GPUs: use none"),
        ("-1:H100", "'-1:H100' is no list of GPUs"),
        ("0:H100,,1:H100", "is no list of GPUs"),
        ("none,0:H100", "is no list of GPUs"),
        ("0:H100", "'0:H100' is no device: use 1:H100 for one, or none"),
        ("0:H100,0:A100", "'0:H100,0:A100' names a device twice"),
    ],
)
def test_a_wrong_list_of_gpus_is_told_in_one_line_that_names_the_setting(
    text: str, message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_gpus(text, "--gpus")

    assert str(caught.value).startswith("--gpus: ")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_gpus_are_found_as_the_driver_numbers_them(tmp_path: Path) -> None:
    driver = a_driver(
        tmp_path,
        ("0000:8a:00.0", "1", "NVIDIA H100 80GB HBM3", "GPU-22222222-0000"),
        ("0000:1b:00.0", "0", "NVIDIA H100 80GB HBM3", "GPU-11111111-0000"),
    )

    assert find_gpus(driver, NO_PROGRAM) == (
        Gpu(0, "NVIDIA H100 80GB HBM3", "GPU-11111111-0000"),
        Gpu(1, "NVIDIA H100 80GB HBM3", "GPU-22222222-0000"),
    )


def test_a_uuid_that_the_driver_does_not_know_yet_is_left_out(tmp_path: Path) -> None:
    driver = a_driver(tmp_path, ("0000:1b:00.0", "0", "Tesla T4", "GPU-????????-????"))

    assert find_gpus(driver, NO_PROGRAM) == (Gpu(0, "Tesla T4"),)


def test_where_the_driver_shows_nothing_its_program_is_asked(tmp_path: Path) -> None:
    program = a_program(
        tmp_path, "echo '1, NVIDIA A100-SXM4-40GB, GPU-b'; echo '0, NVIDIA A100-SXM4-40GB, GPU-a'"
    )

    assert find_gpus(tmp_path / "nowhere", program) == (
        Gpu(0, "NVIDIA A100-SXM4-40GB", "GPU-a"),
        Gpu(1, "NVIDIA A100-SXM4-40GB", "GPU-b"),
    )


@pytest.mark.parametrize("body", ["exit 9", "echo 'No devices were found'", "echo '[N/A], x, y'"])
def test_a_program_that_finds_no_device_is_none(tmp_path: Path, body: str) -> None:
    assert find_gpus(tmp_path / "nowhere", a_program(tmp_path, body)) == ()


def test_a_machine_without_driver_and_program_has_no_gpus(tmp_path: Path) -> None:
    assert find_gpus(tmp_path, NO_PROGRAM) == ()


def test_a_container_without_gpus_is_told_to_see_none() -> None:
    assert gpu_environment(()) == {
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "CUDA_VISIBLE_DEVICES": "-1",
        "NVIDIA_VISIBLE_DEVICES": "void",
    }


def test_a_container_is_told_its_gpus_by_number() -> None:
    environment = gpu_environment((Gpu(1, "H100"), Gpu(3, "H100")))

    assert environment["CUDA_VISIBLE_DEVICES"] == "1,3"
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "1,3"


def test_a_container_is_told_its_gpus_by_uuid_where_that_is_known() -> None:
    """A number is of no use inside: CUDA counts the devices that it can open, from 0."""
    environment = gpu_environment((Gpu(3, "H100", "GPU-c"), Gpu(5, "H100", "GPU-e")))

    assert environment["CUDA_VISIBLE_DEVICES"] == "GPU-c,GPU-e"
    assert environment["NVIDIA_VISIBLE_DEVICES"] == "GPU-c,GPU-e"
