"""Open the data keys with the settings of a process."""

from functools import partial

from lakehouse.errors import PermanentError
from lakehouse.field_encryption.data_keys import Connect, DataKeys
from lakehouse.field_encryption.key_file import MAKE_A_KEY, SETTING, KeyFile
from lakehouse.settings import Settings
from lakehouse.warehouse import connect


def open_data_keys(
    settings: Settings, dsn: str = "dsn_loader", *, connections: Connect | None = None, writes: bool = False
) -> DataKeys | None:
    """Return the data keys, or None without a key file. A process that writes events needs one in production.

    `dsn` names the setting with the login; `connections` replaces it by connections of a pool.

    Raises:
        PermanentError: the key file is invalid, or missing although the environment requires one.
    """
    text = settings.field_encryption_key.get_secret_value()
    if not text:
        if writes and settings.environment.is_shared:
            raise PermanentError(
                f"{SETTING} is empty, but {settings.environment} requires that personal fields are encrypted. Give the "
                f"service the credential okr_field_encryption_key: a key of 32 bytes in base64, as {MAKE_A_KEY}. "
                "Nothing was read or written."
            )
        return None
    if connections is None:
        connections = partial(connect, settings.require(dsn), application="okr-keys")
    return DataKeys(connections, KeyFile(text))
