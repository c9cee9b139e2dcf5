"""Pages of the admin that belong to no model, under /admin/."""

from django.urls import path

from billing.admin import figure_pages

urlpatterns = [
    path("figures/", figure_pages.definitions, name="figures"),
    path("figures/<slug:slug>/", figure_pages.figure, name="figure"),
    path("figures/<slug:slug>.csv", figure_pages.figure_csv, name="figure-csv"),
]
