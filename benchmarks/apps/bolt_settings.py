"""Settings of the django-bolt project: the least that it starts with; no access log, no compression."""

ALLOWED_HOSTS = ["*"]
BOLT_API = ["bolt_app:api"]
BOLT_COMPRESSION = False
DEBUG = False
INSTALLED_APPS = ["django_bolt"]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {"django.server": {"level": "CRITICAL", "propagate": False}},
}
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "bolt_settings"
SECRET_KEY = "only for this benchmark"

# Django asks for a module of URL patterns; the API brings its own routes.
urlpatterns: list[object] = []
