-- Turn the build into a version and create empty build schemas, whose comment names the publication.
ALTER SCHEMA marts_build RENAME TO {marts};
ALTER SCHEMA ml_build RENAME TO {ml};
COMMENT ON SCHEMA {marts} IS 'A version of marts. Readers see it only through the views in marts.';
CREATE SCHEMA marts_build;
CREATE SCHEMA ml_build;
COMMENT ON SCHEMA marts_build IS {build};
