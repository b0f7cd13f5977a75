"""Blnk's routes against their own OpenAPI document: whatever is sent, no 5xx, and every answer conforms."""

from __future__ import annotations

import hypothesis
import pytest
import schemathesis
from schemathesis.generation import GenerationMode

from recon.api.blnk.openapi import document
from recon.wsgi import application

OPERATIONS = [
    (method.upper(), path)
    for path, operations in document()["paths"].items()
    for method in operations
    if method in {"get", "post", "put", "delete"}
]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]


def test_the_document_is_served_to_everybody(client):
    client.logout()
    assert client.get("/openapi.json").json() == document()


@pytest.mark.random
@pytest.mark.usefixtures("open_connection")
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_whatever_is_sent_the_answer_conforms(api, method, path):
    schema = schemathesis.openapi.from_dict(document())
    schema.app = application
    operation = schema[path][method]
    modes = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]

    many = min(hypothesis.settings().max_examples, 20)  # an example is a request

    @hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck), max_examples=many)
    @hypothesis.given(hypothesis.strategies.one_of([operation.as_strategy(generation_mode=mode) for mode in modes]))
    def send(case) -> None:
        response = case.call(headers=api.headers)
        case.validate_response(response, checks=CHECKS)

    send()
