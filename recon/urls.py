"""The sitemap."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import include, path

from recon.models import Side
from recon.views import (
    accounts,
    api_keys,
    audit,
    closing,
    connectors,
    discrepancies,
    exports,
    import_profiles,
    imports,
    ledger,
    matches,
    open_items,
    overview,
    reconcile,
    reports,
    review,
    row_repair,
    rule_preview,
    rule_sets,
    rule_suggest,
    runs,
    search,
    statements,
    webhooks,
)

handler400 = "recon.failures.bad_request"
handler404 = "recon.failures.not_found"
handler500 = "recon.failures.server_error"

urlpatterns = [
    # the APIs: our own, and Blnk's at the paths its clients expect; first, since programs ask most often
    path("api/v1/", include("recon.api.v1.urls")),
    path("", include("recon.api.blnk.urls")),
    # pages
    path("", overview.overview, name="overview"),
    path("search/", search.search, name="search"),
    path("open-items/", open_items.open_items, name="open_items"),
    # statements
    path("statements/", statements.statements, name="statements"),
    path("statements/upload/", imports.upload, {"side": Side.STATEMENT}, name="statement_upload"),
    path("statements/upload/<uuid:token>/", imports.import_file, {"side": Side.STATEMENT}, name="statement_import"),
    path("statements/discrepancies/", discrepancies.discrepancy_list, name="discrepancies"),
    path(
        "statements/discrepancies/<int:discrepancy_id>/resolve/",
        discrepancies.discrepancy_resolve,
        name="discrepancy_resolve",
    ),
    path("statements/lines/<int:line_id>/", statements.statement_line, name="statement_line"),
    path("statements/<str:upload_id>/", statements.statement, name="statement"),
    path("statements/<str:upload_id>/file/", statements.statement_file, name="statement_file"),
    path("statements/<str:upload_id>/discard/", imports.statement_discard, name="statement_discard"),
    path("statements/<str:upload_id>/rows/<int:error_id>/", row_repair.row_repair, name="row_repair"),
    path("statements/<str:upload_id>/rows/set-aside/", row_repair.rows_set_aside, name="rows_set_aside"),
    # reconciling
    path("reconcile/", reconcile.reconcile, name="reconcile"),
    # ledger
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger/upload/", imports.upload, {"side": Side.LEDGER}, name="ledger_upload"),
    path("ledger/upload/<uuid:token>/", imports.import_file, {"side": Side.LEDGER}, name="ledger_import"),
    path("ledger/imports/", imports.ledger_imports, name="ledger_imports"),
    path("ledger/imports/<str:import_id>/reverse/", imports.ledger_import_reverse, name="ledger_import_reverse"),
    path("ledger/<int:entry_id>/", ledger.ledger_entry, name="ledger_entry"),
    # settings
    path("settings/", accounts.settings, name="settings"),
    path("settings/connectors/", connectors.connectors, name="connectors"),
    path("settings/connectors/new/", connectors.connector_new, name="connector_new"),
    path("settings/connectors/<int:connector_id>/", connectors.connector, name="connector"),
    path("settings/connectors/<int:connector_id>/edit/", connectors.connector_edit, name="connector_edit"),
    path("settings/connectors/<int:connector_id>/test/", connectors.connector_test, name="connector_test"),
    path("settings/connectors/<int:connector_id>/sync/", connectors.connector_sync, name="connector_sync"),
    path("settings/connectors/<int:connector_id>/enable/", connectors.connector_enable, name="connector_enable"),
    path("settings/connectors/<int:connector_id>/delete/", connectors.connector_delete, name="connector_delete"),
    path("settings/connectors/syncs/<int:sync_id>/progress/", connectors.sync_progress, name="sync_progress"),
    path("settings/connectors/syncs/<int:sync_id>/cancel/", connectors.sync_cancel, name="sync_cancel"),
    path("settings/api-keys/", api_keys.api_keys, name="api_keys"),
    path("settings/api-keys/new/", api_keys.api_key_new, name="api_key_new"),
    path("settings/api-keys/<int:key_id>/revoke/", api_keys.api_key_revoke, name="api_key_revoke"),
    path("settings/webhooks/", webhooks.webhooks, name="webhooks"),
    path("settings/webhooks/new/", webhooks.webhook_new, name="webhook_new"),
    path("settings/webhooks/<int:webhook_id>/", webhooks.webhook, name="webhook"),
    path("settings/webhooks/<int:webhook_id>/edit/", webhooks.webhook_edit, name="webhook_edit"),
    path("settings/webhooks/<int:webhook_id>/enable/", webhooks.webhook_enable, name="webhook_enable"),
    path("settings/webhooks/<int:webhook_id>/test/", webhooks.webhook_test, name="webhook_test"),
    path("settings/webhooks/<int:webhook_id>/secret/", webhooks.webhook_secret, name="webhook_secret"),
    path("settings/webhooks/<int:webhook_id>/delete/", webhooks.webhook_delete, name="webhook_delete"),
    path("settings/webhooks/deliveries/<int:delivery_id>/", webhooks.delivery, name="delivery"),
    path("settings/webhooks/deliveries/<int:delivery_id>/replay/", webhooks.delivery_replay, name="delivery_replay"),
    path("settings/import-profiles/", import_profiles.profiles, name="import_profiles"),
    path("settings/import-profiles/<int:profile_id>/rename/", import_profiles.profile_rename, name="profile_rename"),
    path("settings/import-profiles/<int:profile_id>/delete/", import_profiles.profile_delete, name="profile_delete"),
    path("settings/import-profiles/<int:profile_id>/profile.json", import_profiles.profile_json, name="profile_json"),
    path("accounts/new/", accounts.account_new, name="account_new"),
    path("accounts/<int:account_id>/", accounts.account, name="account"),
    path("accounts/<int:account_id>/periods/", closing.periods, name="periods"),
    path("accounts/periods/<int:closing_id>/reopen/", closing.period_reopen, name="period_reopen"),
    # runs
    path("runs/", runs.runs, name="runs"),
    path("runs/<str:run_id>/", runs.run, name="run"),
    path("runs/<str:run_id>/progress/", runs.run_progress, name="run_progress"),
    path("runs/<str:run_id>/cancel/", runs.run_cancel, name="run_cancel"),
    path("runs/<str:run_id>/apply/", runs.run_apply, name="run_apply"),
    path("runs/<str:run_id>/reverse/", runs.run_reverse, name="run_reverse"),
    path("runs/<str:run_id>/matches/", runs.run_matches, name="run_matches"),
    path("runs/<str:run_id>/unmatched/", runs.run_unmatched, name="run_unmatched"),
    path("runs/<str:run_id>/matches.csv", exports.run_matches_csv, name="run_matches_csv"),
    path("runs/<str:run_id>/unmatched.csv", exports.run_unmatched_csv, name="run_unmatched_csv"),
    path("runs/<str:run_id>/run.xlsx", exports.run_xlsx, name="run_xlsx"),
    # matches
    path("matches/new/", matches.match_new, name="match_new"),
    path("matches/tie/", matches.match_tie, name="match_tie"),
    path("matches/decide/", matches.matches_decide, name="matches_decide"),
    path("matches/<int:match_id>/", matches.match, name="match"),
    path("matches/<int:match_id>/confirm/", matches.match_confirm, name="match_confirm"),
    path("matches/<int:match_id>/reject/", matches.match_reject, name="match_reject"),
    path("matches/differences/<int:difference_id>/", matches.difference_retype, name="difference_retype"),
    path("matches/<int:match_id>/unmatch/", matches.match_unmatch, name="match_unmatch"),
    # review
    path("review/", review.review, name="review"),
    path("review/undo/", review.review_undo, name="review_undo"),
    path("review/items/", review.items_act, name="items_act"),
    path("review/items/<int:item_id>/", review.item, name="item"),
    path("review/items/<int:item_id>/split/", review.item_split, name="item_split"),
    path("review/items/<int:item_id>/join/", review.item_join, name="item_join"),
    path("review/items/<int:item_id>/act/", review.item_act, name="item_act"),
    # reports
    path("reports/", reports.reports, name="reports"),
    path("reports/report.xlsx", reports.report_xlsx, name="report_xlsx"),
    path("reports/rows/", reports.report_rows, name="report_rows"),
    path("reports/rows.csv", reports.report_rows_csv, name="report_rows_csv"),
    path("reports/differences/", reports.report_differences, name="report_differences"),
    # audit
    path("audit/", audit.audit, name="audit"),
    # rule authoring
    path("rules/sets/", rule_sets.rule_sets, name="rule_sets"),
    path("rules/sets/<int:account_id>/", rule_sets.rule_set, name="rule_set"),
    path("rules/sets/<int:account_id>/overlaps/", rule_sets.rule_overlaps, name="rule_overlaps"),
    path("rules/preview/", rule_preview.rule_preview, name="rule_preview"),
    path("rules/preview/ahead/", rule_preview.rule_read_ahead, name="rule_read_ahead"),
    path("rules/suggest/", rule_suggest.rule_suggest, name="rule_suggest"),
    path("rules/suggest/save/", rule_suggest.rule_suggest_save, name="rule_suggest_save"),
    path("rules/try/", rule_preview.rule_try, name="rule_try"),
    path("rules/<str:rule_id>/uses/", rule_sets.rule_uses, name="rule_uses"),
    path("rules/", include("rules.urls")),
    # signing in and out
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
]
