"""The description at /openapi.json against the server: generated requests, right and wrong ones."""

from __future__ import annotations

from collections import Counter

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import load_all_checks
from schemathesis.checks import not_a_server_error as no_mistake_of_ours
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.unit.chat.server.scripted import ScriptedPipeline, data_url, picture, served

CHECKS = [
    no_mistake_of_ours,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
PICTURES = [data_url(picture(shade)) for shade in (1, 2)]


def with_pictures(value, choose):
    """Put pictures that can be opened where a generated request has addresses."""
    if isinstance(value, list):
        return [with_pictures(one, choose) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: choose(PICTURES) if name in ("url", "image") else with_pictures(one, choose)
        for name, one in value.items()
    } | ({"model": "lisa-nano"} if "model" in value else {})


def try_all(url, cases):
    """Send so many generated requests to all operations; returns how often each status came."""
    load_all_checks()
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    statuses = Counter()
    posts = [one for one in operations if one.method.upper() == "POST"]
    gets = [one for one in operations if one not in posts]
    share = -(-cases // (2 * len(posts)))
    for operation in gets:
        run(operation, GenerationMode.POSITIVE, 5, statuses)
    for operation in posts:
        for mode in GenerationMode.POSITIVE, GenerationMode.NEGATIVE:
            run(operation, mode, share, statuses)
    return statuses


def run(operation, mode, examples, statuses):
    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        verbosity=Verbosity.quiet,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.data())
    def send(case, data):
        if data.draw(st.booleans()):
            case.body = with_pictures(case.body, lambda many: data.draw(st.sampled_from(many)))
        response = case.call()
        case.validate_response(response, checks=CHECKS)
        statuses[response.status_code] += 1

    send()


def try_server(cases):
    with served(ScriptedPipeline()) as server:
        statuses = try_all(server.url, cases)
        assert server.openai().models.list().data
        assert server.metric("lisa_requests_inside") == 0
    print(dict(statuses))
    assert sum(statuses.values()) >= cases
    assert max(statuses) < 500
    # Both sides of the door were tried.
    assert statuses[200] > cases // 50
    assert statuses[400] > cases // 5


def test_a_hundred_generated_requests_meet_the_description():
    try_server(100)


@pytest.mark.slow
def test_two_thousand_generated_requests_meet_the_description():
    try_server(2000)
