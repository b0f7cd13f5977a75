"""The sitemap."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import include, path

from recon.views import accounts, audit, ledger, overview, rule_preview, statements

urlpatterns = [
    path("", overview.overview, name="overview"),
    # statements
    path("statements/", statements.statements, name="statements"),
    path("statements/lines/<int:line_id>/", statements.statement_line, name="statement_line"),
    path("statements/<str:upload_id>/", statements.statement, name="statement"),
    path("statements/<str:upload_id>/file/", statements.statement_file, name="statement_file"),
    # ledger
    path("ledger/", ledger.ledger, name="ledger"),
    path("ledger/<int:entry_id>/", ledger.ledger_entry, name="ledger_entry"),
    # settings
    path("settings/", accounts.settings, name="settings"),
    path("accounts/new/", accounts.account_new, name="account_new"),
    path("accounts/<int:account_id>/", accounts.account, name="account"),
    # audit
    path("audit/", audit.audit, name="audit"),
    # rule authoring
    path("rules/preview/", rule_preview.rule_preview, name="rule_preview"),
    path("rules/", include("rules.urls")),
    # signing in and out
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
    # the API, at the paths Blnk's clients expect
    path("", include("recon.api.blnk.urls")),
]
