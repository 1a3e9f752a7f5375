-- PostgreSQL lets every role execute a new function, so analysts could too. A trigger needs no such privilege to fire.
REVOKE EXECUTE ON FUNCTION ops.count_raw_rewrite() FROM PUBLIC;
