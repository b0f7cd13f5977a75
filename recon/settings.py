"""The one settings file. Every environment variable is read here and documented in the README's table."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from recon.postgresql import NO_JIT

BASE_DIR = Path(__file__).resolve().parent.parent


def env_text(name: str, default: str) -> str:
    return os.environ.get(name, "").strip() or default


def env_flag(name: str, default: bool) -> bool:
    value = env_text(name, str(default)).lower()
    if value not in {"true", "false", "1", "0", "yes", "no", "on", "off"}:
        raise ImproperlyConfigured(f"{name} is {value!r}; expected true or false")
    return value in {"true", "1", "yes", "on"}


def env_number(name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
    value = env_text(name, str(default))
    if not value.isdecimal() or int(value) < least or (most is not None and int(value) > most):
        expected = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ImproperlyConfigured(f"{name} is {value!r}; expected a whole number {expected}")
    return int(value)


def env_list(name: str, default: str) -> list[str]:
    return [part.strip() for part in env_text(name, default).split(",") if part.strip()]


def env_choice(name: str, default: str, choices: tuple[str, ...]) -> str:
    value = env_text(name, default)
    if value not in choices:
        raise ImproperlyConfigured(f"{name} is {value!r}; expected one of {', '.join(choices)}")
    return value


def env_time_zone(name: str, default: str) -> str:
    value = env_text(name, default)
    try:
        ZoneInfo(value)
    except (ValueError, KeyError, OSError) as error:  # KeyError: no such zone
        raise ImproperlyConfigured(f"{name} is {value!r}; expected a time zone such as Europe/Berlin") from error
    return value


def env_origins(name: str) -> list[str]:
    origins = env_list(name, "")
    for origin in origins:
        if not origin.startswith(("http://", "https://")):
            raise ImproperlyConfigured(f"{name} holds {origin!r}; expected origins such as https://books.example.com")
    return origins


def data_dir() -> Path:
    """The directory for the embedded database, the secret key and uploaded files; made on first use."""
    path = Path(env_text("TIEOUT_DATA_DIR", str(BASE_DIR / "var"))).absolute()
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"TIEOUT_DATA_DIR is {str(path)!r}; expected a directory that can be made"
        ) from error
    if not os.access(path, os.W_OK):
        raise ImproperlyConfigured(f"TIEOUT_DATA_DIR is {str(path)!r}; expected a directory that can be written to")
    return path


def secret_key() -> str:
    """From the environment, else a generated one that stays in the data directory."""
    if key := os.environ.get("TIEOUT_SECRET_KEY", ""):
        if len(key) < 50:
            raise ImproperlyConfigured("TIEOUT_SECRET_KEY is too short; expected at least 50 random characters")
        return key
    path = DATA_DIR / "secret_key"
    try:
        # Exclusive creation: of two processes that start at once, only one may choose the key.
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        os.write(handle, secrets.token_urlsafe(64).encode())
        os.close(handle)
    except FileExistsError:
        pass
    return path.read_text().strip()


def database(url: str) -> dict[str, Any]:
    """Django's settings for a DATABASE_URL: sqlite:///path or postgresql://user:password@host:port/name."""
    try:
        config: dict[str, Any] = {**dj_database_url.parse(url, conn_max_age=60, conn_health_checks=True)}
    except (ValueError, KeyError) as error:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read ({error}); expected {DATABASE_FORMS}") from error
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",  # a transaction that starts by reading would fail when it comes to write
            "timeout": 60,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-65536;",
        }
    elif config["ENGINE"] != "django.db.backends.postgresql":
        raise ImproperlyConfigured(f"DATABASE_URL names another kind of database; expected {DATABASE_FORMS}")
    else:
        config["ENGINE"] = "recon.postgresql"
        given: dict[str, Any] = config.setdefault("OPTIONS", {})
        given["options"] = f"{NO_JIT} {given.get('options', '')}".strip()
    return config


DATABASE_FORMS = "sqlite:///path/to/file or postgresql://user:password@host:port/name"
DATA_DIR = data_dir()

# --- security ---------------------------------------------------------------------------------------------------
DEBUG = env_flag("TIEOUT_DEBUG", False)
SECRET_KEY = secret_key()
ALLOWED_HOSTS = env_list("TIEOUT_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = env_origins("TIEOUT_TRUSTED_ORIGINS")
HTTPS = env_flag("TIEOUT_HTTPS", False)
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_HSTS_SECONDS = env_number("TIEOUT_HSTS_SECONDS", 31_536_000) if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if env_flag("TIEOUT_BEHIND_PROXY", False):
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    USE_X_FORWARDED_HOST = True
PRIVATE_HOSTS = env_list("TIEOUT_PRIVATE_HOSTS", "")  # hosts at private addresses that requests may go to all the same
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "recon.views.errors.csrf_failure"

# --- applications -----------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django_htmx",
    "django_tasks",
    "django_tasks_db",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rules",
    "recon",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "recon.middleware.content_security_policy",
    "recon.middleware.limit_upload_size",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "recon.middleware.LoginRequired",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "recon.middleware.htmx_messages",
    "recon.middleware.htmx_redirects",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
ROOT_URLCONF = "recon.urls"
WSGI_APPLICATION = "recon.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "recon.context.navigation",
            ],
        },
    }
]

# --- database and background work -------------------------------------------------------------------------------
DATABASES = {"default": database(env_text("DATABASE_URL", f"sqlite:///{DATA_DIR / 'tieout.sqlite3'}"))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend", "QUEUES": ["default"]}}

# --- sign-in ----------------------------------------------------------------------------------------------------
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]

# --- language and time: instants are stored in UTC, accounts carry their own time zone -----------------------------
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = env_time_zone("TIEOUT_TIME_ZONE", "UTC")

# --- files ------------------------------------------------------------------------------------------------------
STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"  # for those who let a web server in front serve it: ./run collectstatic
STATIC_ROOT.mkdir(exist_ok=True)
STATICFILES_DIRS = [BASE_DIR / "static"]
MEDIA_ROOT = DATA_DIR / "files"
WHITENOISE_USE_FINDERS = True  # serves static/ as it is: no collect step stands between a clone and a page
MAX_UPLOAD_BYTES = env_number("TIEOUT_MAX_UPLOAD_MB", 512, least=1) * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = 32 * 1024 * 1024  # form fields: 10,000 pasted rows fit; files have their own limit
DATA_UPLOAD_MAX_NUMBER_FIELDS = 20_000  # a bulk selection in review posts one field per row

# --- matching ---------------------------------------------------------------------------------------------------
MATCH_MEMORY_MB = env_number("TIEOUT_MATCH_MEMORY_MB", 4096, least=256)
MATCH_THREADS = env_number("TIEOUT_MATCH_THREADS", os.cpu_count() or 2, least=1)
SPILL_DIR = Path(env_text("TIEOUT_SPILL_DIR", str(DATA_DIR / "spill"))).absolute()  # where a run's memory overflows to
CANDIDATE_BUDGET = env_number("TIEOUT_CANDIDATE_BUDGET", 50_000_000, least=1000)
# Six out of thirty rows have 768,211 sums; among more rows a sum says nothing anyway.
SUM_POOL = env_number("TIEOUT_SUM_POOL", 20, least=2, most=30)
SUM_SIZE = env_number("TIEOUT_SUM_SIZE", 5, least=2, most=6)
INSTANT_LIMIT = 10_000  # rows of an instant run, as in Blnk's API
INSTANT_RUNS_AT_ONCE = env_number("TIEOUT_INSTANT_RUNS_AT_ONCE", 2, least=1)
RUN_LEASE_SECONDS = env_number("TIEOUT_RUN_LEASE_SECONDS", 30, least=2)

# --- API --------------------------------------------------------------------------------------------------------
UPLOAD_HOSTS = env_list("TIEOUT_UPLOAD_HOSTS", "")  # that files may be fetched from; none unless listed
UPLOAD_URL_SECONDS = env_number("TIEOUT_UPLOAD_URL_SECONDS", 30, least=1)
API_REQUESTS_PER_MINUTE = env_number("TIEOUT_API_REQUESTS_PER_MINUTE", 60_000)  # of one key; 0: as many as it likes
REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["recon.api.throttle.KeyThrottle"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tieout",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "PREPROCESSING_HOOKS": ["recon.api.v1.schema.only_ours"],
    "POSTPROCESSING_HOOKS": [
        "recon.api.v1.schema.finished",
    ],
    "COMPONENT_SPLIT_PATCH": False,
    "ENABLE_DJANGO_DEPLOY_CHECK": False,  # Blnk's routes have no serializers to describe
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

# --- logging ----------------------------------------------------------------------------------------------------
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {
        "handlers": ["stderr"],
        "level": env_choice("TIEOUT_LOG_LEVEL", "WARNING", ("DEBUG", "INFO", "WARNING", "ERROR")),
    },
}
