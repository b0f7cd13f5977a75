"""WSGI entry point: `granian --interface wsgi recon.wsgi:application`; `./run serve` starts exactly this."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "recon.settings")
django_application = get_wsgi_application()

from recon.unmeasured import measured  # noqa: E402 - it reads the settings

application = measured(django_application)
