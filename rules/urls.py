"""Rule authoring, below ``rules/``."""

from __future__ import annotations

from django.urls import path

from rules import views

urlpatterns = [
    path("", views.rules, name="rules"),
    path("new/", views.rule_new, name="rule_new"),
    path("gallery/", views.rule_gallery, name="rule_gallery"),
    path("import/", views.rules_import, name="rules_import"),
    path("export/", views.rules_export, name="rules_export"),
    path("words/", views.rule_words, name="rule_words"),
    # one rule
    path("<str:rule_id>/", views.rule, name="rule"),
    path("<str:rule_id>/status/", views.rule_status, name="rule_status"),
    path("<str:rule_id>/delete/", views.rule_delete, name="rule_delete"),
    path("<str:rule_id>/export/", views.rule_export, name="rule_export"),
    path("<str:rule_id>/versions/", views.rule_versions, name="rule_versions"),
    path("<str:rule_id>/versions/<int:number>/restore/", views.rule_restore, name="rule_restore"),
]
