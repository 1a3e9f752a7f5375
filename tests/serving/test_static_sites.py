"""The static sites of the pipeline require a login, and no other file on disk is served."""

from collections.abc import Iterator

import pytest

from tests.serving.live_server import Api


@pytest.fixture
def sites(api: Api) -> Iterator[Api]:
    root = api.settings.sites_dir
    (root / "catalog" / "sub").mkdir(parents=True)
    (root / "catalog" / "index.html").write_text("<h1>catalog</h1>")
    (root / "catalog" / "sub" / "index.html").write_text("<h1>sub</h1>")
    (root / "catalog" / "out").symlink_to("/etc")
    (root / "secret.txt").write_text("secret")
    (root / "catalog-old").mkdir()
    (root / "catalog-old" / "secret.txt").write_text("secret")
    yield api
    import shutil

    shutil.rmtree(root)


def test_a_site_is_served_only_with_the_right_to_see_sites(sites: Api) -> None:
    assert sites.client.get("/catalog/").status_code == 401
    sites.log_in("app")
    assert sites.client.get("/catalog/").status_code == 403
    sites.log_in("lead")
    assert sites.client.get("/catalog/").text == "<h1>catalog</h1>"
    assert sites.client.get("/catalog/sub").text == "<h1>sub</h1>"


def test_a_missing_site_names_the_dags_that_write_it(api: Api) -> None:
    api.log_in()
    answer = api.client.get("/quality/", headers={"Accept": "text/html"})
    assert answer.status_code == 404
    assert "data_quality_dag" in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "..%2Fsecret.txt", "%2e%2e/secret.txt", "..%5Csecret.txt", "out/passwd", "sub/..%2F..%2Fsecret.txt",
        "%2Fetc%2Fpasswd",
        "..%2Fcatalog-old%2Fsecret.txt", "%00", "nothing", "x" * 300, "..",
    ],
)  # fmt: skip
def test_no_path_leads_out_of_a_site(sites: Api, path: str) -> None:
    sites.log_in()
    answer = sites.client.get(f"/catalog/{path}", headers={"Accept": "text/html"})
    assert answer.status_code in {200, 404} if path == ".." else answer.status_code == 404
    assert "secret" not in answer.text
    assert "root:" not in answer.text


def test_only_the_catalog_may_run_scripts_and_neither_site_may_call_another(sites: Api) -> None:
    sites.log_in()
    quality = sites.settings.sites_dir / "quality"
    quality.mkdir()
    (quality / "index.html").write_text("<h1>quality</h1>")
    for site, scripts in (("catalog", True), ("quality", False)):
        policy = sites.client.get(f"/{site}/").headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert ("script-src 'self' 'unsafe-inline'" in policy) is scripts
        assert "http" not in policy
        assert ("sandbox allow-same-origin" in policy) is not scripts, "a value in a report must not open another site"
