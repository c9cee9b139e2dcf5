"""Where Stripe reaches us."""

from django.urls import path

from billing.rails.card.webhook import stripe_webhook

urlpatterns = [path("webhooks/stripe", stripe_webhook, name="stripe-webhook")]
