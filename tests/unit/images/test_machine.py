"""Mirrors, users and wheels: what is found out about this machine and an image."""

import pytest

from offload.worker.core.images import ImageStep
from offload.worker.images.debian import deb_lines, debootstrap_arguments
from offload.worker.images.ids import first_free, read_subordinate
from offload.worker.images.machine import read_image_settings
from offload.worker.images.wheels import plain_requirements, platform_of


def test_debian_comes_from_where_this_machines_apt_has_it():
    targets = (
        "http://mirror/debian bookworm main\nhttp://mirror/debian bookworm contrib\n"
        "http://mirror/security bookworm-security main\nhttp://elsewhere/x stable extra\n"
    )

    assert deb_lines("bookworm", "", targets) == [
        "deb http://mirror/debian bookworm main contrib",
        "deb http://mirror/security bookworm-security main",
    ]


def test_a_setting_is_stronger_and_debians_own_mirror_the_last_resort():
    targets = "http://mirror/debian bookworm main\n"

    assert deb_lines("bookworm", "http://mine/debian", targets) == [
        "deb http://mine/debian bookworm main"
    ]
    assert deb_lines("trixie", "", targets) == ["deb http://deb.debian.org/debian trixie main"]


def test_debian_is_made_in_an_empty_folder():
    arguments = debootstrap_arguments(
        "bookworm", "/mnt/root", ("python3",), ["deb http://m bookworm main"]
    )

    assert arguments[-3:] == ("bookworm", "/mnt/root", "deb http://m bookworm main")
    assert "--include=python3,ca-certificates" in arguments


def test_subordinate_ids_are_read_by_name_and_by_number(tmp_path):
    file = tmp_path / "subuid"
    file.write_text("ann:100000:65536\n1001:200000:1000\nbroken\nbob:x:y\n")

    assert read_subordinate(file, ("ann", "1000")) == [(100000, 65536)]
    assert read_subordinate(file, ("eve", "1001")) == [(200000, 1000)]
    assert read_subordinate(file, ("bob",)) == []
    assert read_subordinate(tmp_path / "none", ("ann",)) == []


def test_the_range_that_is_proposed_is_nobodys(tmp_path):
    file = tmp_path / "subuid"
    file.write_text("ann:100000:65536\n")

    assert first_free(file) == 165536
    assert first_free(tmp_path / "none") == 100000


def test_settings_come_from_the_environment(tmp_path):
    authorities = tmp_path / "ca.pem"
    authorities.write_text("x")

    settings = read_image_settings(
        {
            "OFFLOAD_DEBIAN_MIRROR": "http://d",
            "OFFLOAD_OCI_MIRROR": "https://o",
            "OFFLOAD_PACKAGE_INDEX": "https://p",
            "https_proxy": "http://proxy",
            "SSL_CERT_FILE": str(authorities),
            "PIP_INDEX_URL": "https://not-this-one",
        }
    )

    assert (settings.debian_mirror, settings.oci_mirror) == ("http://d", "https://o")
    assert settings.package_index == "https://p"
    assert settings.proxies == (("https_proxy", "http://proxy"),)
    assert settings.ca_file == authorities


def test_the_package_index_is_pips_where_no_setting_names_one(tmp_path):
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nindex-url = https://from-pip/simple\n")

    assert read_image_settings({"PIP_INDEX_URL": "https://a"}).package_index == "https://a"
    assert (
        read_image_settings({"PIP_CONFIG_FILE": str(file)}).package_index
        == "https://from-pip/simple"
    )


@pytest.mark.parametrize(
    ("machine", "glibc", "platform"),
    [
        ("x86_64", "2.36", "x86_64-manylinux_2_36"),
        ("x86_64", "2.30", "x86_64-manylinux_2_28"),
        ("aarch64", "2.99", "aarch64-manylinux_2_40"),
        ("x86_64", "2.12", ""),
        ("x86_64", "", "x86_64-unknown-linux-musl"),
        ("s390x", "2.36", ""),
    ],
)
def test_wheels_are_chosen_for_the_images_own_c_library(machine, glibc, platform):
    assert platform_of(machine, glibc) == platform


def pip(*arguments, secrets=()):
    return ImageStep("0" * 64, "pip_install", arguments, secrets=secrets)


def test_plain_requirements_may_be_resolved_beside_the_shared_cache():
    step = pip("numpy", "pandas >= 2, <3", "uvicorn[standard]==0.30", "x; python_version < '3.12'")

    assert plain_requirements(step, "") == list(step.arguments)


@pytest.mark.parametrize(
    "requirement",
    [
        "./folder", "/etc/passwd", "-r other.txt", "--index-url=https://x", "-e .", "pkg @ https://x/pkg.whl",
        "git+https://x/y", "https://x/pkg.whl", "pkg --config-settings x=y",
    ],
)  # fmt: skip
def test_what_says_more_than_a_name_and_versions_may_not(requirement):
    assert plain_requirements(pip("numpy", requirement), "") is None


def test_a_step_with_secrets_may_not_either():
    assert plain_requirements(pip("numpy", secrets=(("LD_PRELOAD", "/x"),)), "") is None


def test_a_requirements_file_may_have_comments():
    step = ImageStep("0" * 64, "pip_requirements")

    assert plain_requirements(step, "# numbers\nnumpy  # fast\n\n") == ["numpy"]
    assert plain_requirements(step, "numpy \\\n  --hash=sha256:00\n") is None
