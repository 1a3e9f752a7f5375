"""Field encryption: personal fields of events, encrypted at rest with a key for each person (ADR 34).

`key_file` contains the key-encryption keys, `data_keys` the keys of persons (app.data_key, wrapped by a key-encryption
key), `cipher` the format of an encrypted value, and `decryption` what readers see. Contracts declare which fields are
personal (`lakehouse.contracts.registry.Personal`); `ingestion.personal_field_encryption` encrypts them in events.
"""
