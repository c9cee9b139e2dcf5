"""Django's settings: nothing but the environment, read once (see .env.example)."""

from __future__ import annotations

from typing import Any

from billing import catalogue
from billing_project import admin_look, env, error_reports, logs, schedule
from billing_project.paths import BASE_DIR, VAR_DIR

env.read_file()

# --- Where and how this portal runs -------------------------------------------------------------

# The sandbox stands in for every outside service; loopback only, no real money.
SANDBOX = env.flag("SANDBOX", default=False)
DEBUG = env.flag("DEBUG", default=False)
PORT = env.integer("PORT", 8000, minimum=1, maximum=65535)
SANDBOX_PORT = env.integer("SANDBOX_PORT", 8431, minimum=1, maximum=65535)
SANDBOX_URL = env.url("SANDBOX_URL", f"http://127.0.0.1:{SANDBOX_PORT}")
# Where the sandbox says how far its time is ahead; the portal's clock follows (sandbox_clock.py).
_SANDBOX_DB = env.text("SANDBOX_DB", str(VAR_DIR / "sandbox.db"))
SANDBOX_CLOCK = env.file("SANDBOX_CLOCK", f"{_SANDBOX_DB}.clock")
PUBLIC_URL = env.url("PUBLIC_URL", f"http://127.0.0.1:{PORT}" if SANDBOX else None)
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", (env.host_of(PUBLIC_URL),))
SECRET_KEY = env.text("SECRET_KEY", "sandbox-only-" + "0123456789abcdef" * 4 if SANDBOX else None)
SECRET_KEY_FALLBACKS = env.words("SECRET_KEY_FALLBACKS")  # former ones, still good for reading
# How many reverse proxies of ours stand in front and set X-Forwarded-For and -Proto.
TRUSTED_PROXY_COUNT = env.integer("TRUSTED_PROXY_COUNT", 0 if SANDBOX else 1, minimum=0, maximum=9)

if SANDBOX:
    env.require_loopback("PUBLIC_URL", [env.host_of(PUBLIC_URL)])
    env.require_loopback("SANDBOX_URL", [env.host_of(SANDBOX_URL)])
    env.require_loopback("ALLOWED_HOSTS", ALLOWED_HOSTS)

# --- Applications -------------------------------------------------------------------------------

INSTALLED_APPS = [
    "unfold",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django.contrib.postgres",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "csp",
    "djstripe",
    "common",
    "accounts",
    "billing",
    "billing_project",
    "billing_project.operations",
]

MIDDLEWARE = [
    "billing_project.middleware.RequestLogMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "billing_project.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "billing_project.languages.LanguageMiddleware",
    "accounts.middleware.CustomerMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "billing_project.rate_limits.RateLimitMiddleware",
    "common.middleware.RefusalPageMiddleware",
]

ROOT_URLCONF = "billing_project.urls"
WSGI_APPLICATION = "billing_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

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
                "billing_project.context.portal",
                "billing.views.overviews.notices",
                "billing.views.header.header",
            ],
        },
    },
]

# --- Data ---------------------------------------------------------------------------------------

# A debit is one round trip on a connection that is there (reconnecting costs 17 times that).
_DATABASE = env.database("DATABASE_URL")
DATABASES: dict[str, dict[str, Any]] = {
    "default": _DATABASE
    | {
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
        "ATOMIC_REQUESTS": False,
        # The ledger's statements are prepared (Django's own never are): a pooler in front must keep
        # prepared statements, as PgBouncer does from 1.21 on.
        "OPTIONS": {"prepare_threshold": 5} | _DATABASE.get("OPTIONS", {}),
    },
}
REDIS_URL = env.redis("REDIS_URL")
CACHES = {
    "default": {
        "BACKEND": "billing_project.cache.ForgivingRedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "portal",
        "OPTIONS": {"socket_connect_timeout": 0.5, "socket_timeout": 1},
    },
}

# --- Language and time --------------------------------------------------------------------------

LANGUAGE_CODE = "en"
# Each under its own name, to be found by those who read no other.
LANGUAGES = [("en", "English"), ("ru", "Русский")]
LANGUAGE_COOKIE_NAME = "portal_language"
LANGUAGE_COOKIE_SAMESITE = "Lax"
LOCALE_PATHS = [BASE_DIR / "locale"]
FORMAT_MODULE_PATH = ["billing_project.formats"]
TIME_ZONE = "UTC"
USE_TZ = True

# --- Static files -------------------------------------------------------------------------------

STATIC_URL = "/static/"
STATIC_ROOT = VAR_DIR / "static"
# `dist` is built from `src` by `make assets`; only what is built is served.
STATICFILES_DIRS = [("dist", BASE_DIR / "static" / "dist")]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- Who signs in -------------------------------------------------------------------------------

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/billing/"
ACCOUNT_LOGOUT_REDIRECT_URL = "/accounts/login/"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*", "password2*"]
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_FORMS = {
    "add_email": "accounts.forms.AddEmailForm",
    "signup": "accounts.forms.SignupForm",
}
# One address per user: a new one replaces the old when it is confirmed.
ACCOUNT_CHANGE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "optional" if SANDBOX else "mandatory"
ACCOUNT_PREVENT_ENUMERATION = True
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = PUBLIC_URL.partition(":")[0]
# Who changes how they get in proves first that it is them.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes"]
MFA_ADAPTER = "accounts.second_factor.SecondFactorAdapter"
MFA_FORMS = {"activate_totp": "accounts.second_factor.ActivateTOTPForm"}
ALLAUTH_TRUSTED_PROXY_COUNT = TRUSTED_PROXY_COUNT

# --- Mail ---------------------------------------------------------------------------------------

# In the sandbox every message becomes a file under var/mail, so that its links can be followed.
_MAIL_DEFAULT = (
    f"filemail:///{VAR_DIR / 'mail'}" if SANDBOX else "consolemail://" if DEBUG else None
)
_MAIL = env.email("EMAIL_URL", _MAIL_DEFAULT)
EMAIL_BACKEND = _MAIL["EMAIL_BACKEND"]
EMAIL_FILE_PATH = _MAIL.get("EMAIL_FILE_PATH")
EMAIL_HOST = _MAIL.get("EMAIL_HOST")
EMAIL_PORT = _MAIL.get("EMAIL_PORT")
EMAIL_HOST_USER = _MAIL.get("EMAIL_HOST_USER")
EMAIL_HOST_PASSWORD = _MAIL.get("EMAIL_HOST_PASSWORD")
EMAIL_USE_TLS = _MAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", f"billing@{env.host_of(PUBLIC_URL)}")
SERVER_EMAIL = DEFAULT_FROM_EMAIL
EMAIL_SUBJECT_PREFIX = ""

# --- Security (DESIGN section 10) ---------------------------------------------------------------

# The sandbox has no certificate; everything else is served over TLS only.
_TLS = not SANDBOX and not DEBUG
SECURE_SSL_REDIRECT = _TLS
# Asked on this machine or in its network; what is not for everybody is kept in other ways.
SECURE_REDIRECT_EXEMPT = [r"^(healthz?|ready|metrics)$"]
SECURE_HSTS_SECONDS = 31_536_000 if _TLS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = _TLS
SECURE_HSTS_PRELOAD = _TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if TRUSTED_PROXY_COUNT else None
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = _TLS
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
# Cookies know no ports: names of our own keep two portals on one host apart.
SESSION_COOKIE_NAME = "portal_session" if SANDBOX else "__Host-portal_session" if _TLS else "portal"
CSRF_TRUSTED_ORIGINS = [PUBLIC_URL]
CSRF_FAILURE_VIEW = "common.views.csrf_failure"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_048_576

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": [
            "'self'",
            "https://checkout.stripe.com",
            *([SANDBOX_URL] if SANDBOX else []),
        ],
        "frame-ancestors": ["'none'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
    },
}

# --- Admin --------------------------------------------------------------------------------------

UNFOLD = {
    "SITE_TITLE": "Billing portal",
    "SITE_HEADER": "Billing portal",
    "SITE_SUBHEADER": "Sandbox: no real money" if SANDBOX else None,
    "SITE_SYMBOL": "account_balance_wallet",
    "SHOW_VIEW_ON_SITE": False,
    "COLORS": admin_look.COLORS,
    "DASHBOARD_CALLBACK": "billing.admin.home.first_page",
    "SIDEBAR": {
        "show_all_applications": True,
        "navigation": "billing.admin.navigation.sidebar",
    },
}

# --- API ----------------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_SCHEMA_CLASS": "common.schema.ApiSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["common.parsers.StrictJsonParser"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.ForCustomer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "accounts.authentication.ApiKeyAuthentication",
        "accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_THROTTLE_CLASSES": [
        "common.throttling.CallerThrottle",
        "common.throttling.ScopeThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "api": "1200/min",
        "api_anonymous": "60/min",
        "checkout": "30/min",
        "export": "6/hour",
        "refused_webhook": "120/min",
    },
    "EXCEPTION_HANDLER": "common.api.exception_handler",
    "NUM_PROXIES": TRUSTED_PROXY_COUNT,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Billing portal",
    "VERSION": "1",
    "DESCRIPTION": "Credits, quotas and payments of the signed-in customer or of an API key.",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "ENUM_NAME_OVERRIDES": {
        "PurchaseState": "billing.selectors.orders.State",
        "HoldState": "billing.models.HoldState",
    },
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "common.schema.add_error_responses",
    ],
    "SERVE_AUTHENTICATION": [],
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
}

# --- Jobs (DESIGN section 8) --------------------------------------------------------------------

CELERY_BROKER_URL = env.broker(REDIS_URL)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A message that no worker acknowledged comes back after this; tasks are shorter and safe twice.
CELERY_BROKER_TRANSPORT_OPTIONS = {"visibility_timeout": 900}
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 600
CELERY_TASK_TIME_LIMIT = 660
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "billing_project.beat:SingleScheduler"
# In the sandbox time jumps, and beat has to notice soon.
CELERY_BEAT_MAX_LOOP_INTERVAL = 3 if SANDBOX else 15
CELERY_BEAT_SCHEDULE = schedule.SCHEDULE

# --- What is sold, and policies ----------------------------------------------------------------

CATALOGUE = catalogue.load(env.some(catalogue.VARIABLES))
# Who sells: named on every invoice. An address may have several lines, separated by "; ".
SELLER = {
    "name": env.text("SELLER_NAME", "Billing portal" if SANDBOX else env.host_of(PUBLIC_URL)),
    "address": env.text("SELLER_ADDRESS", "").replace("; ", "\n"),
    "email": env.text("SELLER_EMAIL", ""),
    "tax_id": env.text("SELLER_TAX_ID", ""),
    "note": env.text("INVOICE_NOTE", ""),
}
# A folder of fonts for what the one that comes along cannot write: Chinese, Japanese, Korean.
INVOICE_FONTS = env.text("INVOICE_FONTS", "")
# Money that fits no order becomes credits at the catalogue rate, or waits for staff.
UNAPPLIED_POLICY = env.choice("UNAPPLIED_POLICY", ("credits", "hold"), "credits")
# A worker that dies with an event in hand leaves it to the next one after this.
INBOX_LEASE_SECONDS = env.integer("INBOX_LEASE_SECONDS", 120, minimum=1, maximum=3600)

# --- Stripe (the card rail is off while its keys are unset) -------------------------------------

_SANDBOX_KEY = "sandboxsandboxsandbox000"
STRIPE_SECRET_KEY = env.stripe_key(
    "STRIPE_SECRET_KEY", "sk", f"sk_test_{_SANDBOX_KEY}" if SANDBOX else "", sandbox=SANDBOX
)
STRIPE_PUBLISHABLE_KEY = env.stripe_key(
    "STRIPE_PUBLISHABLE_KEY", "pk", f"pk_test_{_SANDBOX_KEY}" if SANDBOX else "", sandbox=SANDBOX
)
STRIPE_WEBHOOK_SECRET = env.webhook_secret(
    "STRIPE_WEBHOOK_SECRET", f"whsec_{_SANDBOX_KEY}" if SANDBOX else "", card_rail=STRIPE_SECRET_KEY
)
STRIPE_AUTOMATIC_TAX = env.flag("STRIPE_AUTOMATIC_TAX", default=False)
# Where Stripe's API is: Stripe's own hosts unless this names another (loopback only).
STRIPE_API_BASE = SANDBOX_URL if SANDBOX else ""
STRIPE_PUBLIC_KEY = STRIPE_PUBLISHABLE_KEY  # the name dj-stripe reads
STRIPE_LIVE_MODE = "_live_" in STRIPE_SECRET_KEY
STRIPE_API_VERSION = "2026-08-26.dahlia"
DJSTRIPE_FOREIGN_KEY_TO_FIELD = "id"
DJSTRIPE_SUBSCRIBER_MODEL = "accounts.Customer"

# --- Operations (docs/runbooks/operations.md) ---------------------------------------------------

METRICS_TOKEN = env.secret("METRICS_TOKEN", longest_guess=15)
ALERT_EMAILS = env.emails("ALERT_EMAILS")
ALERT_TELEGRAM_BOT_TOKEN = env.text("ALERT_TELEGRAM_BOT_TOKEN", "")
ALERT_TELEGRAM_CHAT_ID = env.text("ALERT_TELEGRAM_CHAT_ID", "")
_TELEGRAM = SANDBOX_URL if SANDBOX else "https://api.telegram.org"
ALERT_TELEGRAM_URL = env.url("ALERT_TELEGRAM_URL", _TELEGRAM)
# More refunds than this share of a day's payments, once there are that many of them.
ALERT_REFUND_PERCENT = env.integer("ALERT_REFUND_PERCENT", 20, minimum=1, maximum=100)
ALERT_REFUND_COUNT = env.integer("ALERT_REFUND_COUNT", 10, minimum=1)
ALERT_INBOX_MINUTES = env.integer("ALERT_INBOX_MINUTES", 15, minimum=1)
ALERT_DELIVERY_MINUTES = env.integer("ALERT_DELIVERY_MINUTES", 10, minimum=1)
ALERT_OUTGOING_MINUTES = env.integer("ALERT_OUTGOING_MINUTES", 60, minimum=1)
ALERT_WORKER_MINUTES = env.integer("ALERT_WORKER_MINUTES", 5, minimum=2)
if SANDBOX:
    env.require_loopback("ALERT_TELEGRAM_URL", [env.host_of(ALERT_TELEGRAM_URL)])

# --- Logs ---------------------------------------------------------------------------------------

LOGGING_CONFIG = None
logs.configure(debug=DEBUG)
error_reports.configure(sandbox=SANDBOX)
