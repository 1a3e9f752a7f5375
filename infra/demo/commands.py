"""`okr demo`. The command imports what it needs when it runs, which keeps `okr --help` fast."""

import os
import time
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer()


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option(help="Folder with key_results.csv and check_ins.csv.")] = None,
    scale: Annotated[str, typer.Option(help="Size of the simulation: default, small or large.")] = "default",
) -> None:
    """Run the whole pipeline on real services, with a simulated organisation or your own history."""
    from rich.console import Console

    from infra.demo import source, steps, summary
    from infra.demo.okr_command import okr
    from infra.local.stack import explain_os_error
    from lakehouse.errors import OkrError, PermanentError
    from lakehouse.settings import state_folder

    state = state_folder()
    os.environ["OKR_STATE"] = str(state)  # for the commands that the demo runs
    console = Console(width=None if Console().is_terminal else 160, record=True)
    started = time.monotonic()
    try:
        result, progress = steps.run(state, source.open_source(data, scale), console)
    except KeyboardInterrupt:
        console.print(
            f"\nInterrupted. Run the same command to continue; stop the stack with: {_stop(state)}",
            soft_wrap=True,
        )
        raise typer.Exit(130) from None
    except OSError as error:
        # The demo writes only to the state folder, so that folder is full, read-only or belongs to another user.
        raise PermanentError(f"{explain_os_error(state, error)}{_still_running(state)}") from error
    except OkrError as error:
        raise PermanentError(f"{error}{_still_running(state)}") from error
    summary.show(console, result, progress, time.monotonic() - started)
    console.save_text(str(result.log.with_name("demo-summary.txt")))  # before the logins are printed
    console.print(okr("status", log=result.log, limit_s=60, fix="`okr status`"), markup=False, soft_wrap=True)
    console.print(f"The stack is still running. Stop it with: {_stop(state)}", soft_wrap=True)


def _still_running(state: Path) -> str:
    """Return advice to print after a failure if the stack is still running, else an empty string."""
    from infra.local.stack import open_stack
    from infra.local.supervisor import Supervisor

    stack = open_stack(state) if (state / "stack.env").is_file() else None
    if stack is None or not Supervisor(stack).is_running():
        return ""
    return (
        "\nThe stack is still running, so you can inspect it (`okr status`). Run the same command again to continue. "
        f"Stop it with: {_stop(state)}"
    )


def _stop(state: Path) -> str:
    prefix = "" if state == Path(".state").absolute() else f"OKR_STATE='{state}' "
    return f"{prefix}make down"
