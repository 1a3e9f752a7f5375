import subprocess

from tests.okr_command import OKR


def demo(state, *arguments):
    environment = {"OKR_STATE": str(state), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [OKR, "demo", *arguments], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_an_unusable_state_folder_is_reported_in_one_line_with_advice(tmp_path):
    (tmp_path / "file").touch()
    answer = demo(tmp_path / "file" / "state")
    assert answer.returncode == 1
    assert "is not a folder. Fix that, or choose another folder with OKR_STATE" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_invalid_files_are_reported_before_the_stack_starts(tmp_path):
    data = tmp_path / "our data"
    data.mkdir()
    (data / "key_results.csv").write_text("id,name\n1,x\n")
    (data / "check_ins.csv").write_text("")
    answer = demo(tmp_path / "state", "--data", str(data))
    assert answer.returncode == 1
    assert "expected the columns key_result_id" in answer.stderr
    assert "found id, name" in answer.stderr
    assert not (tmp_path / "state" / "stack.env").exists()
