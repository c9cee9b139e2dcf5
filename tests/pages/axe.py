"""What axe-core finds serious or critical on a page that a browser shows."""

from __future__ import annotations

from dataclasses import dataclass

from playwright.sync_api import Page

from billing_project.paths import BASE_DIR

SOURCE = BASE_DIR / "node_modules" / "axe-core" / "axe.min.js"
# Rules of WCAG 2 A and AA, and what axe calls best practice; serious and critical ones count.
RUN = """() => axe.run(document, {resultTypes: ["violations"]}).then(found => found.violations
    .filter(one => ["serious", "critical"].includes(one.impact))
    .flatMap(one => one.nodes.map(node =>
        [one.id, node.target.join(" "), node.any[0] ? node.any[0].message : "", node.html])))
"""


@dataclass(frozen=True)
class Violation:
    """One element that breaks one of axe's rules."""

    rule: str
    target: str
    message: str
    html: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.target} {self.message}"


def violations(page: Page) -> list[Violation]:
    """Each element with a serious or critical violation, as the page is now."""
    page.evaluate(SOURCE.read_text())
    return [Violation(*found) for found in page.evaluate(RUN)]
