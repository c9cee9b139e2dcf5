"""Form fields in the portal's own look: ``{% load portal_forms %}{% form_field form.email %}``."""

from typing import Any

from django import forms, template
from django.forms import BoundField
from django.utils.safestring import SafeString

register = template.Library()

_CLASSES: tuple[tuple[type[forms.Widget], str], ...] = (
    (forms.CheckboxSelectMultiple, "checkbox checkbox-sm"),
    (forms.RadioSelect, "radio radio-sm"),
    (forms.CheckboxInput, "checkbox"),
    (forms.Select, "select w-full"),
    (forms.Textarea, "textarea w-full"),
    (forms.Widget, "input w-full"),
)


@register.inclusion_tag("partials/form_field.html")
def form_field(field: BoundField) -> dict[str, Any]:
    """Label, input, help and errors of one field."""
    widget = field.field.widget
    others = field.form.fields.values()
    return {
        "field": field,
        # Worth saying only where something else is not.
        "is_optional": not field.field.required and any(one.required for one in others),
        "is_single_check": isinstance(widget, forms.CheckboxInput),
        "is_group": isinstance(widget, forms.CheckboxSelectMultiple | forms.RadioSelect),
    }


@register.inclusion_tag("partials/form_fields.html")
def form_fields(form: forms.BaseForm) -> dict[str, Any]:
    """What is wrong with the form as a whole, then all its fields."""
    return {"form": form}


@register.filter
def styled(field: BoundField) -> SafeString:
    """The field's input with the classes its kind of widget wears."""
    widget = field.field.widget
    classes = next(classes for kind, classes in _CLASSES if isinstance(widget, kind))
    if field.errors:
        classes += f" {classes.split()[0]}-error"
    return field.as_widget(attrs={"class": classes})
