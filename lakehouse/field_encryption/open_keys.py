"""Open the data keys with the settings of a process."""

from functools import partial

from lakehouse.field_encryption.data_keys import Connect, DataKeys
from lakehouse.field_encryption.key_file import KeyFile
from lakehouse.settings import Settings
from lakehouse.warehouse import connect


def open_data_keys(
    settings: Settings, dsn: str = "dsn_loader", *, connections: Connect | None = None
) -> DataKeys | None:
    """Return the data keys, or None if this installation does not encrypt fields.

    `dsn` names the setting with the login; `connections` replaces it by connections of a pool.

    Raises:
        PermanentError: the key file is invalid.
    """
    text = settings.field_encryption_key.get_secret_value()
    if not text:
        return None
    if connections is None:
        connections = partial(connect, settings.require(dsn), application="okr-keys")
    return DataKeys(connections, KeyFile(text))
