"""WSGI entry point: `granian --interface wsgi recon.wsgi:application`; `./run serve` starts exactly this."""

import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recon.settings")
django_application = get_wsgi_application()

from recon.unmeasured import measured  # noqa: E402 - it reads the settings

get_resolver().url_patterns  # noqa: B018 - loads every view now, and not while the first twenty clients wait
application = measured(django_application)
