"""Parse the lines of each service. Most write JSON; the others have one form each, for which there is an expression."""

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from infra.logs.entry import Entry
from lakehouse.log_records.schema import level_of, trace_id_of

Parser = Callable[[str, str], Entry | None]
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_SAME = ("service", "host", "parsed")  # what a line says about these is not believed

# The levels of programs that use a name in another sense than the schema, in which FATAL ends the process.
POSTGRES_LEVELS = {"FATAL": "ERROR", "PANIC": "FATAL"}  # FATAL ends a session
SUPERVISOR_LEVELS = {"CRIT": "WARN"}  # such as "running as root"
REDIS_LEVELS = {".": "DEBUG", "-": "DEBUG", "*": "INFO", "#": "WARN"}
SYSLOG_LEVELS = ("FATAL", "FATAL", "FATAL", "ERROR", "WARN", "INFO", "INFO", "DEBUG")

_POSTGRES = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) UTC \[(?P<process>\d+)\] (?:\S+ )?"
    r"(?P<level>[A-Z]+\d?): +(?P<event>.*)"
)
_REDIS = re.compile(
    r"(?P<process>\d+):[XCSM] (?P<time>\d\d \w{3} \d{4} \d\d:\d\d:\d\d\.\d{3}) (?P<level>[.*#-]) (?P<event>.*)"
)
# 26235:signal-handler (1795988468) Received SIGTERM scheduling shutdown...
_REDIS_SIGNAL = re.compile(r"(?P<process>\d+):signal-handler \((?P<seconds>\d+)\) (?P<event>.*)")
_NGINX = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) \[(?P<level>\w+)\] (?P<process>\d+)#\d+: (?:\*\d+ )?(?P<event>.*)"
)
_SUPERVISOR = re.compile(r"(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3}) (?P<level>[A-Z]{4}) (?P<event>.*)")
# MLflow's own lines, and those of uvicorn, whose level ends with a colon.
_MLFLOW = re.compile(
    r"(?P<time>\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) (?P<level>[A-Z]+):? +(?:(?P<module>[\w.]+): )?(?P<event>.*)"
)
_UVICORN = re.compile(r"(?P<level>INFO|WARNING|ERROR|CRITICAL): {2,}(?P<event>.*)")
_AIRFLOW = re.compile(
    r"(?P<time>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z) \[(?P<level>\w+) *\] (?P<event>.*?) +"
    r"\[(?P<module>[\w.]+)\](?P<rest>.*)"
)
_KAFKA = re.compile(r"(?P<time>\S+Z) (?P<level>[A-Z]+) +(?P<module>\S+) (?P<event>.*)")
# The form of Kafka's own scripts on servers.
_KAFKA_SCRIPTS = re.compile(
    r"\[(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3})\] (?P<level>[A-Z]+) (?P<event>.*) \((?P<module>[\w.$]+)\)"
)
# %3|1764452222.123|FAIL|rdkafka#producer-1| [thrd:...]: text
_LIBRDKAFKA = re.compile(
    r"%(?P<severity>[0-7])\|(?P<seconds>\d+\.\d+)\|(?P<kind>\w+)\|(?P<module>[^|]+)\| (?P<event>.*)"
)
# ts=2026-11-29T21:37:22.049Z caller=main.go:1 level=info msg="text" name=value
_PAIR = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|\S*)(?: |$)')
_WARNING = re.compile(r"(?P<where>/\S+:\d+): (?P<kind>\w*Warning): (?P<event>.*)")


def parse(service: str, line: str, now: datetime) -> Entry | None:
    """Return the entry of a line, or None if it has no form of this service. `now` is for lines without a time."""
    if line.startswith("{"):
        return _json(service, line)
    for parser in (*PARSERS.get(_kind(service), ()), _librdkafka, _logfmt):
        if (entry := parser(service, line)) is not None:
            return entry
    return _without_time(service, line, now)


def from_document(service: str, found: Mapping[str, Any]) -> Entry | None:
    """Return the entry of a JSON object, or None if it is no log line."""
    rest = dict(found)
    text = _take(rest, "time", "timestamp", "@timestamp")
    event = _take(rest, "event", "message", "msg")
    try:
        time = _utc(datetime.fromisoformat(text))
    except (TypeError, ValueError):
        return None
    if not isinstance(event, str):
        return None
    module = str(_take(rest, "module", "logger") or "")
    level = level_of(str(_take(rest, "level") or "INFO")) or "INFO"
    host = str(rest.get("host", ""))
    for name in _SAME:
        rest.pop(name, None)
    if traceparent := rest.pop("traceparent", None):
        rest["trace_id"] = trace_id_of(str(traceparent))
    if isinstance(error := rest.get("exception") or rest.pop("error_detail", None), list):
        rest["exception"] = _traceback(error)
    return Entry(time, level, event, service, module, host, {name: each for name, each in rest.items() if each != ""})


def _json(service: str, line: str) -> Entry | None:
    try:
        return from_document(service, _decode(line))
    except (msgspec.DecodeError, UnicodeError):
        return None


def _take(found: dict[str, Any], *names: str) -> Any:
    """Remove the first of these fields that exists, and return its value."""
    return next((found.pop(name) for name in names if name in found), None)


def _traceback(errors: list[Any]) -> str:
    """Return the text of structlog's tracebacks, which Airflow writes as objects: the cause last, as in Python."""
    parts = []
    for each in reversed([each for each in errors if isinstance(each, dict)]):
        frames = [frame for frame in each.get("frames") or () if isinstance(frame, dict)]
        lines = [
            f'  File "{frame.get("filename")}", line {frame.get("lineno")}, in {frame.get("name")}' for frame in frames
        ]
        parts.append("\n".join([*lines, f"{each.get('exc_type')}: {each.get('exc_value')}"]))
    return "\n\n".join(parts)


def _line(pattern: re.Pattern[str], form: str, levels: Mapping[str, str] | None = None, module: str = "") -> Parser:
    """Return the parser of lines with a time in a form of `strptime`, or ISO. Services of the stack log in UTC."""

    def parser(service: str, line: str) -> Entry | None:
        found = pattern.fullmatch(line)
        if found is None:
            return None
        values = found.groupdict()
        try:
            time = datetime.strptime(values["time"], form) if form else datetime.fromisoformat(values["time"])  # noqa: DTZ007
        except ValueError:
            return None
        name = values["level"]
        level = (levels or {}).get(name) or level_of(name)
        if level is None:
            return None
        fields: dict[str, Any] = {"process": int(values["process"])} if values.get("process") else {}
        if rest := (values.get("rest") or "").strip():
            fields["values"] = rest
        return Entry(_utc(time), level, values["event"], service, values.get("module") or module, fields=fields)

    return parser


def _librdkafka(service: str, line: str) -> Entry | None:
    if (found := _LIBRDKAFKA.fullmatch(line)) is None:
        return None
    time = datetime.fromtimestamp(float(found["seconds"]), UTC)
    level = SYSLOG_LEVELS[int(found["severity"])]
    # An unreachable broker is 3 (error); librdkafka itself tries again.
    return Entry(time, level, found["event"], service, found["module"], fields={"kind": found["kind"]})


def _logfmt(service: str, line: str) -> Entry | None:
    """Parse the form of Prometheus, Alertmanager and the exporters, all of which are written in Go."""
    if "".join(found[0] for found in _PAIR.finditer(line)) != line:
        return None
    try:
        pairs = {name: json.loads(value) if value[:1] == '"' else value for name, value in _PAIR.findall(line)}
    except ValueError:  # an escape that only Go knows
        return None
    if not {"ts", "time"} & pairs.keys() or "level" not in pairs:
        return None
    found: dict[str, Any] = dict(pairs)
    found["time"] = _take(found, "time", "ts")
    found["module"] = str(found.pop("component", "") or found.pop("caller", ""))
    found.setdefault("msg", str(found.get("err", line)))
    return from_document(service, found)


def _redis_signal(service: str, line: str) -> Entry | None:
    if (found := _REDIS_SIGNAL.fullmatch(line)) is None:
        return None
    time = datetime.fromtimestamp(int(found["seconds"]), UTC)
    return Entry(time, "WARN", found["event"], service, fields={"process": int(found["process"])})


def _without_time(service: str, line: str, now: datetime) -> Entry | None:
    if found := _WARNING.fullmatch(line):
        return Entry(
            now, "WARN", found["event"], service, "py.warnings", fields={"kind": found["kind"], "at": found["where"]}
        )
    if found := _UVICORN.fullmatch(line):
        return Entry(now, level_of(found["level"]) or "INFO", found["event"], service, "uvicorn")
    return None


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _kind(service: str) -> str:
    return "airflow" if service.startswith("airflow") else service.removesuffix("-database")


_mlflow = _line(_MLFLOW, "%Y/%m/%d %H:%M:%S", module="mlflow")
PARSERS: Mapping[str, tuple[Parser, ...]] = {
    "postgres": (_line(_POSTGRES, "", POSTGRES_LEVELS),),
    "redis": (_line(_REDIS, "%d %b %Y %H:%M:%S.%f", REDIS_LEVELS), _redis_signal),
    "nginx": (_line(_NGINX, "%Y/%m/%d %H:%M:%S", {"emerg": "FATAL", "alert": "ERROR", "crit": "ERROR"}),),
    "supervisord": (_line(_SUPERVISOR, "%Y-%m-%d %H:%M:%S,%f", SUPERVISOR_LEVELS),),
    "mlflow": (_mlflow,),
    "airflow": (_line(_AIRFLOW, ""),),
    "kafka": (_line(_KAFKA, ""), _line(_KAFKA_SCRIPTS, "%Y-%m-%d %H:%M:%S,%f")),
}
