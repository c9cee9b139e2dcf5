"""The admin's accent: the portal's hue (static/src/theme.css) in the steps that unfold asks for."""

# Lightness in percent and chroma, from the palest to the deepest.
_STEPS = {
    "50": (97, 0.014),
    "100": (93.5, 0.033),
    "200": (88, 0.06),
    "300": (80, 0.1),
    "400": (71, 0.14),
    "500": (65, 0.155),
    "600": (46, 0.19),
    "700": (41, 0.17),
    "800": (36, 0.14),
    "900": (31, 0.11),
    "950": (24, 0.08),
}
_HUE = 272

COLORS = {
    "primary": {
        step: f"oklch({lightness}% {chroma} {_HUE})" for step, (lightness, chroma) in _STEPS.items()
    }
}
