"""Blnk Core's paths, at the root as its clients expect them."""

from __future__ import annotations

from django.urls import path

from recon.api.blnk import reconciliation, rules, transactions
from recon.api.blnk.openapi import openapi
from recon.api.health import health

urlpatterns = [
    path("health", health, name="health"),
    path("openapi.json", openapi, name="blnk_openapi"),
    # ledger entries
    path("transactions", transactions.Transactions.as_view()),
    path("transactions/bulk", transactions.BulkTransactions.as_view()),
    path("transactions/reference/<path:reference>", transactions.TransactionByReference.as_view()),
    path("transactions/<str:transaction_id>", transactions.Transaction.as_view()),
    # rules
    path("reconciliation/matching-rules", rules.Rules.as_view()),
    path("reconciliation/matching-rules/<str:rule_id>", rules.Rule.as_view()),
    # uploads and runs
    path("reconciliation/upload", reconciliation.Upload.as_view()),
    path("reconciliation/start", reconciliation.Start.as_view()),
    path("reconciliation/start-instant", reconciliation.StartInstant.as_view()),
    path("reconciliation", reconciliation.Reconciliations.as_view()),
    path("reconciliation/<str:reconciliation_id>", reconciliation.Reconciliation.as_view()),
]
