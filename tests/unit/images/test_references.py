import json

import pytest

from offload.worker.images.references import (
    DOCKER_HUB,
    Reference,
    RegistryError,
    choose,
    parse_configuration,
    parse_manifest,
    parse_reference,
)

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "registry", "repository", "tag"),
    [
        ("python", DOCKER_HUB, "library/python", "latest"),
        ("python:3.11-slim", DOCKER_HUB, "library/python", "3.11-slim"),
        ("team/tool:1", DOCKER_HUB, "team/tool", "1"),
        ("docker.io/team/tool", DOCKER_HUB, "team/tool", "latest"),
        ("localhost/tool", "localhost", "tool", "latest"),
        ("127.0.0.1:5000/a/b/c:2", "127.0.0.1:5000", "a/b/c", "2"),
        ("registry.example.com/a", "registry.example.com", "a", "latest"),
        (f"registry.example.com/a:1@{DIGEST}", "registry.example.com", "a", DIGEST),
    ],
)
def test_a_reference_is_read_as_other_tools_read_it(text, registry, repository, tag):
    assert parse_reference(text) == Reference(registry, repository, tag)


def entry(architecture, variant=None, system="linux", digest=DIGEST):
    platform = {"os": system, "architecture": architecture} | (
        {"variant": variant} if variant else {}
    )
    return {"digest": digest, "platform": platform}


def index(*entries):
    return json.dumps({"manifests": list(entries)}).encode()


def test_the_manifest_for_this_architecture_is_chosen():
    listed = index(
        entry("amd64", system="windows"),
        entry("arm64", "v8", digest="arm"),
        entry("amd64", digest="intel"),
    )

    assert choose(listed, ("amd64", "")) == "intel"
    assert choose(listed, ("arm64", "")) == "arm"


def test_an_architecture_that_is_not_there_is_named_beside_those_that_are():
    attestation = entry("unknown", system="unknown")

    with pytest.raises(RegistryError, match=r"not there for riscv64; it is for amd64, armv7"):
        choose(index(entry("amd64"), entry("arm", "v7"), attestation), ("riscv64", ""))


def test_a_manifest_names_its_layers_in_order():
    layers = [
        {"digest": DIGEST, "size": 3, "mediaType": "application/vnd.oci.image.layer.v1.tar+zstd"},
        {"digest": DIGEST, "size": 4, "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip"},
    ]
    manifest = parse_manifest(
        json.dumps({"config": {"digest": DIGEST, "size": 1}, "layers": layers}).encode()
    )

    assert [layer.compression for layer in manifest.layers] == ["zstd", "gzip"]


@pytest.mark.parametrize(
    "data",
    [
        b"no json",
        b"[]",
        b"{}",
        b'{"schemaVersion": 1}',
        b'{"config": 3, "layers": []}',
        b'{"config": {"digest": "md5:x", "size": 1}, "layers": []}',
        b'{"config": {"digest": "sha256:x", "size": "1"}, "layers": []}',
    ],
)
def test_a_damaged_manifest_is_refused(data):
    with pytest.raises(RegistryError):
        parse_manifest(data)


def test_a_configuration_says_how_programs_run():
    data = {
        "config": {"Env": ["PATH=/bin", "A=b=c"], "WorkingDir": "/srv"},
        "rootfs": {"diff_ids": [DIGEST]},
    }

    configuration = parse_configuration(json.dumps(data).encode())

    assert configuration.env == (("PATH", "/bin"), ("A", "b=c"))
    assert configuration.working_dir == "/srv"
    assert parse_configuration(b'{"config": null}').working_dir == "/"
