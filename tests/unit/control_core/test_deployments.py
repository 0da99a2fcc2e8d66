"""Which version a call by name goes to, and which are kept."""

from __future__ import annotations

import pytest

from offload.control.core.deployments import (
    KEPT_VERSIONS,
    AppVersion,
    Deployment,
    add_version,
    choose_function,
    choose_version,
    next_number,
    serve_version,
    stop,
    version_before,
)
from offload.control.core.errors import DomainError, ErrorCode
from offload.control.core.model import DeploymentKey

KEY = DeploymentKey("default", "main", "shop")


def a_version(number: int, tag: str = "") -> AppVersion:
    return AppVersion(number, f"ap-{number}", str(number), 1.0, (("add", f"fu-{number}"),), (), tag)


def deployed(count: int) -> Deployment:
    deployment: Deployment | None = None
    for number in range(1, count + 1):
        deployment = add_version(KEY, deployment, a_version(number), 1.0).deployment
    assert deployment is not None
    return deployment


def test_the_first_version_serves_and_replaces_none() -> None:
    switch = add_version(KEY, None, a_version(next_number(None)), 5.0)

    assert (switch.deployment.serving, switch.retired, switch.dropped) == (1, None, ())


def test_a_new_version_serves_and_the_one_before_is_retired() -> None:
    switch = add_version(KEY, deployed(2), a_version(3), 5.0)

    assert (switch.deployment.serving, switch.deployment.activated_at) == (3, 5.0)
    assert switch.retired == a_version(2)


def test_a_number_is_never_used_twice_also_after_a_rollback() -> None:
    rolled_back = serve_version(deployed(3), 1, 5.0).deployment

    assert next_number(rolled_back) == 4


def test_the_newest_versions_are_kept_and_the_one_that_serves() -> None:
    before = serve_version(deployed(KEPT_VERSIONS + 1), 1, 5.0).deployment

    switch = add_version(KEY, before, a_version(KEPT_VERSIONS + 2), 6.0)

    assert switch.retired == a_version(1)
    assert switch.dropped == (a_version(1),)
    assert [v.number for v in switch.deployment.versions] == list(range(2, KEPT_VERSIONS + 3))


def test_a_stopped_app_keeps_its_versions_and_serves_none() -> None:
    switch = stop(deployed(2), 5.0)

    assert (switch.deployment.serving, switch.retired) == (0, a_version(2))
    with pytest.raises(DomainError, match="is stopped: deploy it again"):
        choose_version(switch.deployment, 0, "")


def test_a_stopped_app_goes_back_to_the_version_that_served_although_there_are_newer_ones() -> None:
    stopped = stop(serve_version(deployed(3), 2, 5.0).deployment, 6.0).deployment

    stopped_again = stop(stopped, 7.0).deployment

    assert version_before(stopped_again) == 2
    assert version_before(serve_version(stopped_again, 2, 8.0).deployment) == 1


def test_the_version_that_served_before_a_stop_is_kept_until_another_one_serves() -> None:
    before = serve_version(deployed(KEPT_VERSIONS + 2), 2, 5.0).deployment
    last = stop(add_version(KEY, before, a_version(KEPT_VERSIONS + 3), 6.0).deployment, 7.0)

    oldest = stop(before, 6.0)
    after = add_version(KEY, oldest.deployment, a_version(KEPT_VERSIONS + 3), 7.0)

    assert oldest.deployment.version(2) == a_version(2)
    assert (after.dropped, after.deployment.last_served) == ((a_version(2),), 0)
    assert version_before(last.deployment) == KEPT_VERSIONS + 3


def test_a_rollback_goes_to_the_version_before_the_one_that_serves() -> None:
    assert version_before(deployed(3)) == 2
    assert version_before(serve_version(deployed(3), 2, 5.0).deployment) == 1
    with pytest.raises(DomainError, match="no version before 1"):
        version_before(deployed(1))


@pytest.mark.parametrize(
    ("number", "tag", "found"), [(0, "", 3), (1, "", 1), (0, "old", 2), (3, "old", 3)]
)
def test_a_version_is_chosen_by_number_then_by_tag_then_as_the_one_that_serves(
    number: int, tag: str, found: int
) -> None:
    deployment = Deployment(KEY, 3, 1.0, (a_version(1, "old"), a_version(2, "old"), a_version(3)))

    assert choose_version(deployment, number, tag).number == found


def test_what_is_not_kept_is_refused_by_what_there_is() -> None:
    deployment = deployed(2)

    with pytest.raises(DomainError, match="no version 7: those kept are 1, 2") as unknown:
        choose_version(deployment, 7, "")
    with pytest.raises(DomainError, match="no version with the tag 'v9'"):
        choose_version(deployment, 0, "v9")
    with pytest.raises(DomainError, match="no function 'sub'; it has: add"):
        choose_function(deployment, a_version(2), "sub")
    assert unknown.value.code is ErrorCode.NOT_FOUND
