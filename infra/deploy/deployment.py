"""The steps of a deployment. Each can be repeated, so an interrupted deployment is continued by running it again.

What serves is read from links and processes, never from the journal. The journal only says which release served before,
which colour is to serve, and which step was interrupted.
"""

from collections.abc import Callable
from dataclasses import asdict

from infra.deploy import links
from infra.deploy.api_client import ColourClient
from infra.deploy.colours import Colours
from infra.deploy.golden import check_golden_rows
from infra.deploy.host import Host
from infra.deploy.journal import DONE, Entry, Journal, now
from infra.deploy.migration import migrate
from infra.deploy.preconditions import check_api, check_disk, check_settings
from infra.deploy.units import Units
from infra.deploy.watch import watch
from infra.deploy.workers import hand_over, running_workers, workers_before
from lakehouse.errors import NotPossible, OkrError
from lakehouse.settings import Settings

RELEASE, RESTART, ROLLBACK, UNDO = "release", "restart", "rollback", "undo"
FIRST_STEP = "check"
COMMANDS = {RELEASE: "release {}", RESTART: "restart", ROLLBACK: "rollback", UNDO: "rollback"}
WATCHED = (RELEASE, RESTART)
AFTER_THE_SWITCH = ("switch", "watch", "hand-over")
NOT_COMPARED = "No golden row was compared: the registry has no outputs, and no other release serves."
Say = Callable[[str], None]


class Deployment:
    """A deployment of this host. Each public method holds the lock meanwhile."""

    def __init__(self, host: Host, units: Units, settings: Settings, say: Say) -> None:
        self._host, self._units, self._settings, self._say = host, units, settings, say
        self._journal = Journal(host.state)
        self._colours = Colours(host, units)

    def run(self, release: str) -> None:
        """Deploy a release, or continue its interrupted deployment.

        Raises:
            OkrError: it failed, and the release that served before serves; or the message says what is left to do.
        """
        with self._journal.exclusive():
            self._run(release, RELEASE)

    def restart(self) -> None:
        """Start the serving release as the other colour, so that the API gets new settings and secrets.

        Raises:
            NotPossible: no release serves here, or another deployment was interrupted. Nothing was changed.
            OkrError: as `run`.
        """
        with self._journal.exclusive():
            serving = links.serving_colour(self._host)
            if serving is None:
                raise NotPossible("No API serves on this host, so there is nothing to restart. Nothing was changed.")
            self._run(self._colours.release(serving) or links.assigned(self._host, serving) or "", RESTART)

    def roll_back(self) -> None:
        """Go back to the release that served before the last deployment, or undo an interrupted deployment.

        Raises:
            NotPossible: there is no earlier release, or the schema no longer fits it. Nothing was changed.
            OkrError: as `run`.
        """
        with self._journal.exclusive():
            last = self._journal.last()
            if last is not None and last.is_interrupted and last.kind == RESTART:
                self._roll_back_restart(last)
                return
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

    def _roll_back_restart(self, last: Entry) -> None:
        back = links.other(last.colour)
        if links.serving_colour(self._host) != back and not self._colours.is_ready(back):
            raise NotPossible(f"{self._colours.unit(back)} no longer runs. `okr deploy restart` completes the restart.")
        self._undo(last, back, NotPossible("the restart was interrupted"))

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
            if not migrate(self._host, last.release, self._say, "--list"):
                self._say("There is nothing to contract.")
                return
            last.is_contracted = True
            self._journal.write(last)  # first: after an interrupt, nobody may go back
            migrate(self._host, last.release, self._say, "--contract")

    def _run(self, release: str, kind: str) -> None:
        entry = self._entry(release, kind)
        self._check(entry)
        before = back = links.serving_colour(self._host)
        if before is not None and entry.step != FIRST_STEP and self._is_switched(entry, before):
            back = links.other(before)  # continued after the switch
        try:
            colour = self._bring_up(entry, before)
            self._switch_and_watch(entry, before, colour)
            if kind != RESTART:
                self._step(entry, "hand-over", f"Handing the workers over to {release}.")
                hand_over(self._host, self._units, release, entry.workers, self._say)
        except BaseException as error:
            self._undo(entry, back, error)
            raise
        self._step(entry, "stop-old", "Stopping the other colour.")
        self._colours.settle_and_stop(links.other(colour))
        self._end(entry, DONE, links.other(colour), is_undone=kind in (RESTART, UNDO))
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
            if kind in (RELEASE, RESTART) and (last.kind, last.release) != (kind, release):
                raise NotPossible(
                    f"The {last.kind} of {last.release} was interrupted at the step {last.step}. Continue it with `okr "
                    f"deploy {COMMANDS[last.kind].format(last.release)}`, or undo it with `okr deploy rollback`. "
                    "Nothing was changed."
                )
            self._say(f"The {last.kind} of {last.release} was interrupted at the step {last.step}.")
            entry.workers = workers_before(self._host, last.workers, entry.workers)
            entry.replaces = last.replaces
            if last.release == release:
                entry.step, entry.colour = last.step, last.colour
        else:
            entry.replaces = asdict(last) | {"replaces": None}
        if last.release == release:
            entry.previous, entry.is_contracted = last.previous, last.is_contracted
        return entry

    def _check(self, entry: Entry) -> None:
        """Check what can be checked before anything is changed."""
        self._host.release(entry.release)
        if entry.kind == RELEASE and entry.step == FIRST_STEP:
            check_api(self._host, self._units)
        if entry.kind == RELEASE:
            check_settings(self._host, self._settings, "dsn_owner", "app_password", "metrics_token")
            check_disk(self._host)
        if entry.kind == RESTART:
            check_settings(self._host, self._settings, "metrics_token")

    def _bring_up(self, entry: Entry, before: str | None) -> str:
        """Return the colour that runs the release, started and checked unless it already serves."""
        if before is not None and self._is_switched(entry, before):
            entry.colour = before
            if not self._is_watched_again(entry):  # a watch finds a release that has crashed, and undoes it
                self._colours.ensure_ready(before)
            return before
        colour = entry.colour = links.other(before)
        if entry.kind == RELEASE:
            self._step(entry, "migrate", "Migrating the schema (expanding revisions).")
            migrate(self._host, entry.release, self._say)
        is_running = self._colours.release(colour) == entry.release and self._colours.is_ready(colour)
        if entry.kind == RESTART or not is_running:
            self._step(entry, "start", f"Starting {entry.release} as {colour}.")
            self._units.stop(self._colours.unit(colour))
            links.assign(self._host, colour, entry.release)
            self._units.start(self._colours.unit(colour))
        self._step(entry, "warm", "Waiting until it is ready.")
        with self._colours.client(colour) as candidate:
            self._colours.wait_until_ready(candidate, colour)
            if entry.kind in WATCHED:
                candidate.requests(self._settings.require("metrics_token"))  # a wrong token is found before the switch
            if entry.kind == RELEASE:  # a release that has already served may return without delay
                self._step(entry, "golden", "Checking its predictions.")
                self._check_golden_rows(candidate, before)
        return colour

    def _is_switched(self, entry: Entry, before: str) -> bool:
        """Return whether requests go to the release already, or, for a restart, to the process that it has started."""
        is_running = entry.kind != RESTART and self._colours.release(before) == entry.release
        return before == entry.colour or is_running

    @staticmethod
    def _is_watched_again(entry: Entry) -> bool:
        return entry.kind in WATCHED and entry.step in AFTER_THE_SWITCH

    def _check_golden_rows(self, candidate: ColourClient, before: str | None) -> None:
        account, password = self._host.account, self._settings.require("app_password")
        candidate.log_in(account, password)
        with self._colours.client(before) as serving:
            is_serving = serving.is_ready()
            if is_serving:
                serving.log_in(account, password)
            compared = check_golden_rows(self._host, candidate, serving if is_serving else None)
            if is_serving:
                serving.log_out()
        candidate.log_out()
        self._say(f"{compared} golden rows have the expected predictions." if compared else NOT_COMPARED)

    def _switch_and_watch(self, entry: Entry, before: str | None, colour: str) -> None:
        is_watched = self._is_watched_again(entry) or (entry.kind in WATCHED and colour != before)
        if colour != before:
            self._step(entry, "switch", f"Switching requests to {colour}.")
            links.switch(self._host, colour)
        if is_watched:
            limits = self._host.limits
            self._step(entry, "watch", f"Watching {entry.release} for {limits.watch_s:.0f} s.")
            with self._colours.client(colour) as api, ColourClient(self._host.current_socket) as proxy:
                seen = watch(api, proxy, limits, self._settings.require("metrics_token"))
            self._say(
                f"{seen.requests:.0f} requests, {seen.error_share:.1%} failed, 95 % took at most {seen.p95_ms:.0f} ms."
            )

    def _undo(self, entry: Entry, back: str | None, error: BaseException) -> None:
        """Let the colour `back` serve again, with its workers, and stop the other one. The lock is still held."""
        reason = str(error) or type(error).__name__
        serving = links.serving_colour(self._host)
        if serving != back and back is not None and not self._colours.is_ready(back):
            self._say(f"{entry.release} keeps serving, because {back} no longer runs. Repeat the command to continue.")
            return
        previous = links.assigned(self._host, back) if back else None
        self._say(f"Going back to {previous or 'the state before'}: {reason}")
        steps = (
            lambda: links.switch(self._host, back),
            lambda: self._hand_back(entry, previous),
            lambda: self._stop_unless_serving(links.other(back)),
        )
        failures = [failure for step in steps if (failure := _attempt(step))]
        if entry.kind != UNDO and not failures:  # an undo that failed remains to be done
            end = lambda: self._end(entry, f"undone: {reason}", links.other(back), is_undone=True)  # noqa: E731
            failures = [failure for failure in (_attempt(end),) if failure]
        if failures:
            last = self._journal.last()
            advice = (
                "rollback` does the rest" if last is not None and last.is_interrupted else "status` shows what runs"
            )
            self._say(f"Not completely undone ({' '.join(failures)}). `okr deploy {advice}.")

    def _hand_back(self, entry: Entry, previous: str | None) -> None:
        is_handed_over = links.assigned(self._host, "current") != previous
        if previous is not None and entry.kind != RESTART and is_handed_over:
            hand_over(self._host, self._units, previous, entry.workers, self._say)

    def _stop_unless_serving(self, colour: str) -> None:
        if links.serving_colour(self._host) != colour:
            self._colours.settle_and_stop(colour)

    def _end(self, entry: Entry, outcome: str, idle: str, *, is_undone: bool) -> None:
        """Record the end. The idle colour then names the rollback target, so that `okr-release` does not remove it."""
        self._journal.end(entry, outcome, is_undone=is_undone)
        last = self._journal.last()
        if last is not None and last.previous is not None and links.assigned(self._host, idle) != last.previous:
            links.assign(self._host, idle, last.previous)

    def _step(self, entry: Entry, step: str, line: str) -> None:
        entry.step = step
        self._journal.write(entry)
        self._say(line)


def _attempt(step: Callable[[], None]) -> str:
    """Do a step; return why it failed, or nothing."""
    try:
        step()
    except (OkrError, OSError) as error:
        return str(error)
    return ""
