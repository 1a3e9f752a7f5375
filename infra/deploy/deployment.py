"""The steps of a deployment. Each can be repeated, so an interrupted deployment is continued by running it again.

What serves is read from links and processes, never from the journal. The journal only says which release served before,
and which step was interrupted.
"""

import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict

from infra.deploy import links
from infra.deploy.api_client import ColourClient
from infra.deploy.golden import check_golden_rows
from infra.deploy.host import Host
from infra.deploy.journal import DONE, Entry, Journal, now
from infra.deploy.units import Units, running_release
from infra.deploy.watch import watch
from infra.deploy.workers import hand_over, running_workers
from lakehouse.errors import NotPossible, OkrError, PermanentError, RetryableError
from lakehouse.settings import Settings

RELEASE, ROLLBACK, UNDO = "release", "rollback", "undo"
FIRST_STEP = "check"
MIGRATE_S = 3600.0
AFTER_THE_SWITCH = ("switch", "watch")
Say = Callable[[str], None]


class Deployment:
    """A deployment of this host. Each public method holds the lock meanwhile."""

    def __init__(self, host: Host, units: Units, settings: Settings, say: Say) -> None:
        self._host, self._units, self._settings, self._say = host, units, settings, say
        self._journal = Journal(host.state)

    def run(self, release: str) -> None:
        """Deploy a release, or continue its interrupted deployment.

        Raises:
            OkrError: it failed, and the release that served before serves; or the message says what is left to do.
        """
        with self._journal.exclusive():
            self._run(release, RELEASE)

    def roll_back(self) -> None:
        """Go back to the release that served before the last deployment, or undo an interrupted deployment.

        Raises:
            NotPossible: there is no earlier release, or the schema no longer fits it. Nothing was changed.
            OkrError: as `run`.
        """
        with self._journal.exclusive():
            last = self._journal.last()
            if last is not None and last.is_interrupted and last.kind != RELEASE:
                self._run(last.release, last.kind)
                return
            if last is None or last.previous is None:
                raise NotPossible("There is no earlier release to go back to. Nothing was changed.")
            if last.is_contracted:
                raise NotPossible(
                    f"The schema was contracted after {last.release} was deployed, so {last.previous} no longer works "
                    "on it. Nothing was changed. Deploy a release with the fix instead."
                )
            self._run(last.previous, UNDO if last.is_interrupted else ROLLBACK)

    def contract(self) -> None:
        """Remove from the schema what only earlier releases use. A rollback to them is not possible afterwards.

        Raises:
            NotPossible: a deployment was interrupted, or none was made.
            RetryableError: a table remained locked; the next call continues.
        """
        with self._journal.exclusive():
            last = self._journal.last()
            if last is None or last.is_interrupted or last.outcome != DONE:
                raise NotPossible("Expected a completed deployment. Run `okr deploy status`. Nothing was changed.")
            if not self._migrate(last.release, "--list"):
                self._say("There is nothing to contract.")
                return
            last.is_contracted = True
            self._journal.write(last)  # first: after an interrupt, nobody may go back
            self._migrate(last.release, "--contract")

    def _run(self, release: str, kind: str) -> None:
        entry = self._entry(release, kind)
        self._check(entry)
        before = links.serving_colour(self._host)
        back = before
        try:
            colour = self._bring_up(entry, before)
            if colour == before and entry.step != FIRST_STEP:  # continued after the switch
                back = links.other(colour)
            self._switch_and_watch(entry, before, colour)
            self._step(entry, "hand-over", f"Handing the workers over to {release}.")
            hand_over(self._host, self._units, release, entry.workers, self._say)
        except BaseException as error:
            self._undo(entry, back, error)
            raise
        self._step(entry, "stop-old", "Stopping the other colour.")
        self._settle_and_stop(links.other(colour))
        self._journal.end(entry, DONE, is_undone=kind == UNDO)
        self._say(f"{release} serves ({colour}).")

    def _entry(self, release: str, kind: str) -> Entry:
        """Return the record of this deployment, which continues the last one if that was interrupted."""
        last = self._journal.last()
        serving = links.serving_colour(self._host)
        previous = links.assigned(self._host, serving) if serving else None
        entry = Entry(release, previous, kind, started_at=now(), workers=running_workers(self._host, self._units))
        if last is None:
            return entry
        if last.is_interrupted:
            if last.release != release and kind == RELEASE:
                raise NotPossible(
                    f"The deployment of {last.release} was interrupted at the step {last.step}. Repeat it, or run `okr "
                    "deploy rollback`, before you deploy another release. Nothing was changed."
                )
            self._say(f"The deployment of {last.release} was interrupted at the step {last.step}.")
            entry.workers = sorted({*entry.workers, *last.workers})
            entry.replaces = last.replaces
            if last.release == release:
                entry.step = last.step
        else:
            entry.replaces = asdict(last) | {"replaces": None}
        if last.release == release:
            entry.previous, entry.is_contracted = last.previous, last.is_contracted
        return entry

    def _check(self, entry: Entry) -> None:
        """Check what can be checked before anything is changed."""
        self._host.release(entry.release)
        for folder in (self._host.root, self._host.state) if entry.kind == RELEASE else ():
            free_mb = shutil.disk_usage(folder).free // 1_000_000
            if free_mb < self._host.limits.min_free_mb:
                raise PermanentError(
                    f"{folder} has {free_mb} MB free; expected at least {self._host.limits.min_free_mb} MB. Delete old "
                    "releases or free disk space. Nothing was changed."
                )

    def _bring_up(self, entry: Entry, before: str | None) -> str:
        """Return the colour that runs the release, started and checked unless it already serves."""
        # After the switch, a release that has crashed is watched and undone. The other colour has the rollback target.
        is_switched = entry.step in AFTER_THE_SWITCH and links.assigned(self._host, before or "") == entry.release
        if before is not None and (is_switched or self._runs(entry.release, before)):
            return before
        colour = links.other(before)
        if entry.kind == RELEASE:
            self._step(entry, "migrate", "Migrating the schema (expanding revisions).")
            self._migrate(entry.release)
        if not (self._runs(entry.release, colour) and self._is_ready(colour)):
            self._step(entry, "start", f"Starting {entry.release} as {colour}.")
            self._units.stop(self._unit(colour))
            links.assign(self._host, colour, entry.release)
            self._units.start(self._unit(colour))
        self._step(entry, "warm", "Waiting until it is ready.")
        with ColourClient(self._host.socket(colour)) as candidate:
            self._wait_until_ready(candidate, colour)
            if entry.kind == RELEASE:  # a release that has already served may return without delay
                self._step(entry, "golden", "Checking its predictions.")
                candidate.requests(self._settings.require("metrics_token"))  # a wrong token is found before the switch
                self._check_golden_rows(candidate, before)
        return colour

    def _runs(self, release: str, colour: str) -> bool:
        return running_release(self._host, self._units, self._unit(colour)) == release

    def _wait_until_ready(self, client: ColourClient, colour: str) -> None:
        unit = self._unit(colour)
        try:
            client.wait_until_ready(self._host.limits.start_s, lambda: self._units.pid(unit) is not None)
        except RetryableError as error:
            raise RetryableError(f"{unit}: {error} `{self._units.log(unit)}` shows why.") from error

    def _check_golden_rows(self, candidate: ColourClient, before: str | None) -> None:
        account, password = self._host.account, self._settings.require("app_password")
        candidate.log_in(account, password)
        with ColourClient(self._host.socket(before or "none")) as serving:
            is_serving = serving.is_ready()
            if is_serving:
                serving.log_in(account, password)
            compared = check_golden_rows(self._host, candidate, serving if is_serving else None)
            if is_serving:
                serving.log_out()
        candidate.log_out()
        self._say(f"{compared} golden rows have the expected predictions.")

    def _switch_and_watch(self, entry: Entry, before: str | None, colour: str) -> None:
        is_watched = entry.kind == RELEASE and (entry.step in AFTER_THE_SWITCH or colour != before)
        if colour != before:
            self._step(entry, "switch", f"Switching requests to {colour}.")
            links.switch(self._host, colour)
        if is_watched:
            limits = self._host.limits
            self._step(entry, "watch", f"Watching {entry.release} for {limits.watch_s:.0f} s.")
            with ColourClient(self._host.socket(colour)) as api, ColourClient(self._host.current_socket) as proxy:
                seen = watch(api, proxy, limits, self._settings.require("metrics_token"))
            self._say(
                f"{seen.requests:.0f} requests, {seen.error_share:.1%} failed, 95 % took at most {seen.p95_ms:.0f} ms."
            )

    def _undo(self, entry: Entry, back: str | None, error: BaseException) -> None:
        """Let the colour `back` serve again, with its workers, and stop the other one. The lock is still held."""
        reason = str(error) or type(error).__name__
        serving = links.serving_colour(self._host)
        if serving != back and back is not None and not self._is_ready(back):
            self._say(f"{entry.release} keeps serving, because {back} no longer runs. Repeat the command to continue.")
            return
        previous = links.assigned(self._host, back) if back else None
        self._say(f"Going back to {previous or 'the state before'}: {reason}")
        try:
            links.switch(self._host, back)  # also if it serves: the interrupt may have left one of the links
            if previous is not None and entry.step == "hand-over":
                hand_over(self._host, self._units, previous, entry.workers, self._say)
            self._settle_and_stop(links.other(back))
            if entry.kind != UNDO:  # an undo that failed remains to be done
                self._journal.end(entry, f"undone: {reason}", is_undone=True)
        except (OkrError, OSError) as failure:
            self._say(f"Not completely undone ({failure}). `okr deploy rollback` does the rest.")

    def _is_ready(self, colour: str) -> bool:
        with ColourClient(self._host.socket(colour)) as client:
            return client.is_ready()

    def _settle_and_stop(self, colour: str) -> None:
        """Stop a colour after the connections that were opened before the switch have been accepted."""
        unit = self._unit(colour)
        if self._units.pid(unit) is not None:
            time.sleep(self._host.limits.settle_s)
        self._units.stop(unit)

    def _migrate(self, release: str, *arguments: str) -> list[str]:
        """Run the release's `okr migrate --online`, and return the lines that it printed."""
        command = [str(self._host.release(release) / self._host.executable), "migrate", "--online", *arguments]
        try:
            done = subprocess.run(
                command, env=self._host.environment(), capture_output=True, text=True, timeout=MIGRATE_S, check=False
            )
        except subprocess.TimeoutExpired:
            raise RetryableError(f"The migration took longer than {MIGRATE_S:.0f} s.") from None
        for line in done.stdout.splitlines():
            self._say(f"  {line}")
        if done.returncode != 0:
            raise RetryableError(f"The migration failed: {' '.join(done.stderr.split())[-1000:]}")
        return done.stdout.splitlines()

    def _step(self, entry: Entry, step: str, line: str) -> None:
        entry.step = step
        self._journal.write(entry)
        self._say(line)

    def _unit(self, colour: str) -> str:
        return self._host.api_unit(colour)
