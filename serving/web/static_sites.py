"""Serve the static sites that the pipeline writes (dbt's catalog, Great Expectations' Data Docs)."""

from pathlib import Path

from serving.errors import NotFound

# dbt's site is a single page with inline scripts and styles, which reads JSON files. The Data Docs have inline styles
# and no scripts. Neither site may load or request anything from other sites.
_BASE = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
CATALOG_POLICY = (
    f"{_BASE}; script-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; font-src 'self' data:"
)
# Great Expectations does not escape values, so in a sandbox a page can neither run scripts nor open another site.
QUALITY_POLICY = f"{_BASE}; img-src 'self' data:; font-src 'self'; sandbox allow-same-origin"


def site_file(site: Path, path: str) -> Path:
    """Return the file at a path within a site, or the index.html of a folder.

    Raises:
        NotFound: the file does not exist, or the path leads outside the site.
    """
    root = site.resolve()
    if not (root / "index.html").is_file():
        raise NotFound(f"The site {site.name!r} does not exist yet: okr_etl_dag and data_quality_dag write it.")
    try:
        file = (root / path).resolve()
        file = file / "index.html" if file.is_dir() else file
        is_in_site = file.is_relative_to(root) and file.is_file()
    except (OSError, ValueError):  # the name is too long or contains NUL
        is_in_site = False
    if not is_in_site:
        raise NotFound("No such page in this site.")
    return file
