"""The URL table."""

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponseRedirect
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from billing.views import email_previews
from billing_project.operations import views as operations
from billing_project.styleguide import styleguide


def favicon(_request: HttpRequest) -> HttpResponseRedirect:
    """For pages that are not ours and name no icon."""
    return HttpResponseRedirect(static("dist/favicon.svg"))


urlpatterns = [
    path("", RedirectView.as_view(url="/billing/"), name="home"),
    path("favicon.ico", favicon, name="favicon"),
    path("health", operations.health, name="health"),
    path("healthz", operations.health, name="alive"),
    path("ready", operations.ready, name="ready"),
    path("metrics", operations.scrape, name="metrics"),
    path("admin/", include("billing.admin.urls")),
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("settings/", include("accounts.urls")),
    path("billing/", include("billing.urls")),
    path("api/", include("billing.api.urls")),
    path("api/schema", SpectacularAPIView.as_view(), name="api-schema"),
    path("api/docs", SpectacularSwaggerSplitView.as_view(url_name="api-schema"), name="api-docs"),
]

if settings.STRIPE_SECRET_KEY:  # else the card rail is off
    urlpatterns.append(path("api/", include("billing.rails.card.urls")))

if settings.DEBUG:  # for builders
    urlpatterns.append(path("styleguide", styleguide, name="styleguide"))
    urlpatterns.append(path("emails", email_previews.index, name="email_previews"))
    urlpatterns.append(
        path("emails/<name>/<language>.<form>", email_previews.preview, name="email_preview")
    )

handler400 = "common.views.bad_request"
handler403 = "common.views.forbidden"
handler404 = "common.views.not_found"
handler500 = "common.views.server_error"
