"""Templates of the pages, their files, and their content security policy."""

import base64
import hashlib
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined


def template_environment() -> Environment:
    """Create the environment of the templates, with autoescaping."""
    return Environment(
        loader=PackageLoader("selfdistill.report.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def asset(file: str) -> str:
    """Read a file beside the templates."""
    return (resources.files("selfdistill.report.html") / "templates" / file).read_text()


def policy(script: str) -> str:
    """Return the Content-Security-Policy: only the page's own script, and no network access."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
