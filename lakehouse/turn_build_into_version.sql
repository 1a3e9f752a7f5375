-- The build becomes a version; what is left is empty again and says so.
ALTER SCHEMA marts_build RENAME TO {marts};
ALTER SCHEMA ml_build RENAME TO {ml};
COMMENT ON SCHEMA {marts} IS 'A version of marts. Nobody reads it but through the views in marts.';
CREATE SCHEMA marts_build;
CREATE SCHEMA ml_build;
COMMENT ON SCHEMA marts_build IS {build};
