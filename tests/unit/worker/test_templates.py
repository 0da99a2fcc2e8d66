"""Which functions have a template: the decisions alone, on a clock made of numbers."""

from __future__ import annotations

from offload.worker.core.templates import Build, Drop, TemplateDecisions, TemplatePolicy

PLENTY = 10_000
POLICY = TemplatePolicy(
    max_count=2, settle_seconds=1.0, idle_seconds=100.0, free_memory_mib=500, max_deaths=2
)


def decisions(**changes: int) -> TemplateDecisions:
    return TemplateDecisions(POLICY if not changes else TemplatePolicy(**changes))  # type: ignore[arg-type]


def make_ready(templates: TemplateDecisions, function_id: str, now: float) -> None:
    templates.started_plainly(function_id, now)
    templates.tick(now + 1.0, PLENTY)
    templates.built(function_id, now + 1.0)


def test_a_template_is_built_when_a_function_has_stayed_after_its_first_plain_start():
    templates = decisions()

    templates.started_plainly("fu-1", 0.0)

    assert templates.tick(0.5, PLENTY) == []
    assert templates.tick(1.0, PLENTY) == [Build("fu-1")]
    assert templates.tick(1.5, PLENTY) == []


def test_a_function_that_is_forgotten_before_it_has_settled_gets_none():
    templates = decisions()
    templates.started_plainly("fu-1", 0.0)

    dropped = templates.forget("fu-1")

    assert dropped == []
    assert templates.tick(5.0, PLENTY) == []
    assert templates.next_tick_seconds is None


def test_containers_are_forked_only_while_a_template_is_ready():
    templates = decisions()
    templates.started_plainly("fu-1", 0.0)
    before = templates.may_fork("fu-1", 0.5)
    templates.tick(1.0, PLENTY)
    meanwhile = templates.may_fork("fu-1", 1.0)

    templates.built("fu-1", 1.5)

    assert (before, meanwhile, templates.may_fork("fu-1", 2.0)) == (False, False, True)


def test_a_template_of_another_environment_makes_room_for_a_new_one_and_that_is_no_death():
    templates = decisions()
    for start in (0.0, 10.0, 20.0):
        make_ready(templates, "fu-1", start)
        templates.outdated("fu-1", start + 2.0)

    make_ready(templates, "fu-1", 30.0)

    assert templates.may_fork("fu-1", 32.0)


def test_a_function_that_cannot_be_forked_is_never_tried_again():
    templates = decisions()
    templates.started_plainly("fu-1", 0.0)
    templates.tick(1.0, PLENTY)

    templates.unusable("fu-1", 1.5)
    templates.started_plainly("fu-1", 2.0)

    assert templates.tick(10.0, PLENTY) == []


def test_a_template_that_died_is_rebuilt_after_another_plain_start_but_not_for_ever():
    templates = decisions()
    built = []
    for round_at in (0.0, 10.0, 20.0):
        templates.started_plainly("fu-1", round_at)
        built += templates.tick(round_at + 1.0, PLENTY)
        templates.built("fu-1", round_at + 1.0)
        templates.died("fu-1", round_at + 2.0)

    assert built == [Build("fu-1"), Build("fu-1")]


def test_a_template_that_was_long_not_used_is_dropped():
    templates = decisions()
    make_ready(templates, "fu-1", 0.0)
    templates.may_fork("fu-1", 50.0)

    assert templates.tick(149.0, PLENTY) == []
    assert templates.tick(150.0, PLENTY) == [Drop("fu-1")]


def test_the_least_recently_used_goes_first_while_memory_is_short_and_none_is_built():
    templates = decisions()
    make_ready(templates, "fu-1", 0.0)
    make_ready(templates, "fu-2", 1.0)
    templates.may_fork("fu-1", 10.0)
    templates.started_plainly("fu-3", 10.0)

    assert templates.tick(20.0, available_mib=499) == [Drop("fu-2")]
    assert templates.tick(25.0, available_mib=499) == [Drop("fu-1")]
    assert templates.tick(30.0, available_mib=499) == []


def test_beyond_the_most_a_worker_has_the_least_recently_used_makes_room():
    templates = decisions()
    make_ready(templates, "fu-1", 0.0)
    make_ready(templates, "fu-2", 1.0)
    templates.may_fork("fu-1", 5.0)

    templates.started_plainly("fu-3", 10.0)

    assert templates.tick(11.0, PLENTY) == [Drop("fu-2"), Build("fu-3")]


def test_a_template_that_is_in_use_makes_no_room():
    templates = decisions()
    make_ready(templates, "fu-1", 0.0)
    make_ready(templates, "fu-2", 1.0)

    templates.started_plainly("fu-3", 10.0)
    templates.may_fork("fu-1", 10.5)
    templates.may_fork("fu-2", 10.5)

    assert templates.tick(11.0, PLENTY) == []


def test_a_worker_that_is_to_have_none_builds_none():
    templates = decisions(max_count=0)

    templates.started_plainly("fu-1", 0.0)

    assert templates.tick(10.0, PLENTY) == []


def test_a_forgotten_function_takes_its_template_along():
    templates = decisions()
    make_ready(templates, "fu-1", 0.0)

    assert templates.forget("fu-1") == [Drop("fu-1")]
    assert not templates.may_fork("fu-1", 5.0)
