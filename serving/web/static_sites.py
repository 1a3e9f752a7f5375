"""The static sites that the pipeline writes (dbt's catalog, Great Expectations' Data Docs), behind the same login."""

from pathlib import Path

from serving.errors import NotFound

# dbt's site is one page of inline scripts and styles that reads its JSON files; the Data Docs have inline styles and no
# script. Nothing but this service may be loaded or called by either.
_BASE = (
    "default-src 'none'; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
CATALOG_POLICY = (
    f"{_BASE}; script-src 'self' 'unsafe-inline'; connect-src 'self'; img-src 'self' data:; font-src 'self' data:"
)
QUALITY_POLICY = f"{_BASE}; img-src 'self' data:; font-src 'self'"


def site_file(site: Path, path: str) -> Path:
    """Return the file that a path within a site names; a folder means its index.html.

    Raises:
        NotFound: there is none, or the path leads out of the site.
    """
    root = site.resolve()
    if not (root / "index.html").is_file():
        raise NotFound(f"The site {site.name!r} has not been made yet: okr_etl_dag and data_quality_dag write it.")
    try:
        file = (root / path).resolve()
        file = file / "index.html" if file.is_dir() else file
        is_ours = file.is_relative_to(root) and file.is_file()
    except (OSError, ValueError):  # a name too long for the disk, or with a NUL in it
        is_ours = False
    if not is_ours:
        raise NotFound("No such page in this site.")
    return file
