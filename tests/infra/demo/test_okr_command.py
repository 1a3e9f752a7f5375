import pytest

from infra.demo.errors import StepFailed
from infra.demo.okr_command import okr


def test_a_failed_command_is_reported_with_its_last_output_and_the_fix(tmp_path, monkeypatch):
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    log = tmp_path / "demo.log"
    with pytest.raises(
        StepFailed, match=r"`okr publication current` exited with status 1.*OKR_DSN_SERVING.*"
    ) as failed:
        okr("publication", "current", log=log, limit_s=60, fix="start the stack")
    assert "fix:  start the stack" in str(failed.value)
    assert "OKR_DSN_SERVING" in log.read_text()


def test_a_command_that_takes_too_long_is_ended_and_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    with pytest.raises(StepFailed, match=r"did not finish within 0 s"):
        okr("--help", log=tmp_path / "demo.log", limit_s=0.01, fix="-")


def test_a_command_downloads_through_the_callers_proxy(tmp_path, monkeypatch):
    monkeypatch.setenv("OKR_STATE", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")  # the discard port, on which nothing listens
    with pytest.raises(StepFailed, match=r"could not be downloaded \(ProxyError\)"):
        okr("fetch", log=tmp_path / "demo.log", limit_s=60, fix="-")
