"""The sitemap."""

from __future__ import annotations

from django.contrib.auth import views as auth_views
from django.urls import path

from recon.views import overview

urlpatterns = [
    path("", overview.overview, name="overview"),
    # signing in and out
    path("login/", auth_views.LoginView.as_view(redirect_authenticated_user=True), name="login"),
    path("logout/", auth_views.LogoutView.as_view(), name="logout"),
]
