"""Whatever is sent to our own API: no 5xx, and every answer is what the document says."""

from __future__ import annotations

import gc

import hypothesis
import pytest
import schemathesis
from django.db import transaction
from hypothesis import strategies as st

from recon.api.v1.schema import document
from recon.models import Event, LedgerEntry, Match, OpenItem, StatementLine
from recon.usecases.ledger.transactions import transaction_id
from recon.wsgi import application
from tests.api.conftest import Caller, make_key
from tests.api.v1.conftest import run_by, three_lines
from tests.cast import SAME_AMOUNT, SAME_REFERENCE, make_account, make_rule

pytestmark = [
    pytest.mark.usefixtures("open_connection"),
    # Servers close a response that is a file; schemathesis leaves that to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SCHEMA = schemathesis.openapi.from_dict(document())
SCHEMA.app = application
OPERATIONS = [
    pytest.param(method, path, id=operation["operationId"])
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
]
CHECKS = [
    schemathesis.checks.not_a_server_error,
    schemathesis.checks.status_code_conformance,
    schemathesis.checks.content_type_conformance,
    schemathesis.checks.response_schema_conformance,
]
MODES = [schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE]


@pytest.fixture(scope="module")
def reconciled_once(django_db_setup, django_db_blocker):
    """A run and a key that may do everything. Made once: what a test sends is rolled back around it."""
    with django_db_blocker.unblock(), transaction.atomic():
        account = make_account(sign="as_given", currencies=["EUR"])
        run = run_by(make_rule("Exact", SAME_AMOUNT, SAME_REFERENCE), three_lines(account))
        yield run, make_key("admin")
        transaction.set_rollback(True)


@pytest.fixture
def run(reconciled_once, db):
    return reconciled_once[0]


@pytest.fixture
def api(reconciled_once, db):
    return Caller(reconciled_once[1])


def known_ids(run) -> dict[str, object]:
    """Parameters of paths that lead somewhere."""
    return {
        "account_id": run.account_id,
        "run_id": run.run_id,
        "upload_id": run.statement_id,
        "rule_id": run.run_rules.get().version.rule_id,
        "number": 1,
        "match_id": Match.objects.latest("pk").pk,
        "item_id": OpenItem.objects.latest("pk").pk,
        "line_id": StatementLine.objects.latest("pk").pk,
        "entry_id": transaction_id(LedgerEntry.objects.latest("pk").pk),
        "event_id": Event.objects.latest("pk").pk,
    }


def send_anything(api, run, method: str, path: str, count: int) -> None:
    operation, known = SCHEMA[path][method], known_ids(run)
    cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in MODES])

    @hypothesis.settings(max_examples=count, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(cases, st.booleans())
    def send(case, is_known: bool) -> None:
        if is_known:
            for name in case.path_parameters or {}:
                case.path_parameters[name] = known.get(name, case.path_parameters[name])
        response = case.call(headers=api.headers)
        case.validate_response(response, checks=CHECKS)

    send()
    gc.collect()  # what was left open is closed here, not in whatever test comes next


@pytest.mark.no_cover
@pytest.mark.parametrize(("method", "path"), OPERATIONS[::9])
def test_some_operations_answer_as_the_document_says(api, run, method, path):
    send_anything(api, run, method, path, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_every_operation_answers_as_the_document_says(api, run, method, path):
    send_anything(api, run, method, path, 6)
