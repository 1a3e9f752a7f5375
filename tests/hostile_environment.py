"""Environment variables that a shell may have for other purposes; none may influence an `okr` command.

Each of them has broken a comparable tool; the issue is named where there is one.
"""

from pathlib import Path

BLACK_HOLE = "http://192.0.2.1:9"  # TEST-NET-1: no host answers there


def variables(folder: Path) -> dict[str, str]:
    """Return the hostile variables; the files that some of them point to are created in `folder`."""
    shadows = folder / "shadows"
    shadows.mkdir(parents=True, exist_ok=True)
    for name in ("lakehouse", "typer", "json", "psycopg"):
        (shadows / f"{name}.py").write_text("raise SystemExit('a module of PYTHONPATH was imported')\n")
    services = folder / "pg_service.conf"
    services.write_text("[other]\nhost=192.0.2.1\n")
    return {
        # urschrei/pyzotero pull 375, AgentFlocks/flocks pull 158: a proxy intercepts requests to the own host.
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), BLACK_HOLE),
        # encode/httpx issue 505: an unsupported SOCKS proxy fails even if it is not needed.
        **dict.fromkeys(("ALL_PROXY", "all_proxy"), "socks5h://192.0.2.1:1080"),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
        # Aider-AI/aider issue 3710: a missing certificate file causes a FileNotFoundError without a name.
        **dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"), str(folder / "missing.pem")),
        "SSL_CERT_DIR": str(folder / "missing"),
        "PIP_USER": "1", "PIP_TARGET": str(folder / "target"), "PIP_REQUIRE_VIRTUALENV": "0", "PIP_PREFIX": "/nowhere",
        # Snowflake-Labs/pg_lake pull 401: PGHOSTADDR overrules the host of an explicit connection string.
        "PGHOST": "192.0.2.1", "PGHOSTADDR": "192.0.2.1", "PGPORT": "1", "PGUSER": "nobody", "PGPASSWORD": "wrong",
        "PGDATABASE": "nowhere", "PGSSLMODE": "verify-full", "PGSSLROOTCERT": str(folder / "missing.pem"),
        "PGSERVICE": "missing", "PGSERVICEFILE": str(services), "PGPASSFILE": str(folder / "missing"),
        "PGOPTIONS": "-c search_path=nowhere -c statement_timeout=1", "PGCHANNELBINDING": "require",
        "PGTARGETSESSIONATTRS": "standby", "PGREQUIREAUTH": "none", "PGCLIENTENCODING": "LATIN1",
        "PGGSSENCMODE": "require", "PGTZ": "Asia/Tokyo", "PGCONNECT_TIMEOUT": "1", "PGDATA": "/nowhere",
        "PYTHONPATH": str(shadows), "PYTHONHOME": "/nowhere", "PYTHONSTARTUP": "/nowhere", "PYTHONWARNINGS": "error",
        "PYTHONIOENCODING": "latin-1", "PYTHONOPTIMIZE": "2", "PYTHONUSERBASE": "/nowhere", "PYTHONNOUSERSITE": "",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": "sqlite:////nowhere/airflow.db", "AIRFLOW_HOME": "/nowhere",
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor", "AIRFLOW__CORE__DAGS_FOLDER": "/nowhere", "AIRFLOW_CONFIG": "/x",
        "MLFLOW_TRACKING_URI": BLACK_HOLE, "MLFLOW_REGISTRY_URI": BLACK_HOLE, "MLFLOW_EXPERIMENT_ID": "99",
        "MLFLOW_RUN_ID": "nothing", "MLFLOW_TRACKING_USERNAME": "nobody", "MLFLOW_BACKEND_STORE_URI": "sqlite:////x",
        "KAFKA_OPTS": "-Dnothing", "KAFKA_HEAP_OPTS": "-Xmx1m", "KAFKA_BOOTSTRAP_SERVERS": "192.0.2.1:9092",
        "JAVA_TOOL_OPTIONS": "-Xmx1k", "_JAVA_OPTIONS": "-Xmx1k", "JDK_JAVA_OPTIONS": "-Xmx1k", "JAVA_HOME": "/nowhere",
        "CLASSPATH": "/nowhere", "REDIS_URL": "redis://192.0.2.1", "DATABASE_URL": "postgresql://192.0.2.1/nowhere",
        "DBT_PROFILES_DIR": "/nowhere", "DBT_TARGET": "nowhere", "DBT_WARN_ERROR": "true", "DBT_FULL_REFRESH": "true",
        "PSYCOPG_IMPL": "nothing", "POLARS_MAX_THREADS": "nothing", "ARROW_IO_THREADS": "nothing",  # read at import
        "DBT_TARGET_PATH": "/nowhere", "GX_HOME": "/nowhere", "TMPDIR": str(folder / "missing"), "TZ": "Asia/Tokyo",
        # Addresses of another stack, as set by `eval "$(okr env)"` or a manual env file.
        "OKR_LAKE_URI": str(folder / "another" / "lake"), "OKR_KAFKA_BOOTSTRAP": "192.0.2.1:9092",
        "OKR_DSN_SERVING": "postgresql://okr:x@192.0.2.1:1/okr", "OKR_DSN_OWNER": "postgresql://okr:x@192.0.2.1:1/okr",
        "OKR_DSN_LOADER": "postgresql://o:x@192.0.2.1:1/o", "OKR_DSN_TRANSFORM": "postgresql://o:x@192.0.2.1:1/o",
        "OKR_DSN_ORGANISATION": "postgresql://o:x@192.0.2.1:1/o",
        "OKR_DSN_ANALYST": "postgresql://o:x@192.0.2.1:1/o", "OKR_REDIS_URL": "redis://192.0.2.1:1/0",
        "OKR_REDIS_STATE_URL": "redis://192.0.2.1:1/0", "OKR_REDIS_METRICS_URL": "redis://192.0.2.1:1/0",
        "OKR_AIRFLOW_URL": BLACK_HOLE, "OKR_API_URL": BLACK_HOLE, "OKR_API_PORT": "1", "OKR_MLFLOW_URL": BLACK_HOLE,
        "OKR_MLFLOW_STORE_URI": "sqlite:////nowhere/mlflow.db", "OKR_SITES_DIR": "/nowhere", "OKR_DBT_TARGET_DIR": "/n",
        "OKR_STACK_ID": "another", "OKR_DBT_HOST": "192.0.2.1", "LANG": "de_DE.ISO-8859-1", "LC_ALL": "C",
    }  # fmt: skip
