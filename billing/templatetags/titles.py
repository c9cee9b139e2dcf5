"""What was ordered, in the reader's language: ``{{ order|order_title }}``."""

from django import template

from billing import titles

register = template.Library()
register.filter("order_title", titles.order_title)
register.filter("line_title", titles.line_title)
