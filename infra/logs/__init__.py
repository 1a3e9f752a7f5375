"""`okr logs`: search the logs of all services in the files of the local stack, a server's journal, or a store."""
