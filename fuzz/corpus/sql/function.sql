/* a /* nested */ comment; */
CREATE FUNCTION f() RETURNS integer LANGUAGE plpgsql AS $body$ BEGIN RETURN ';'; END $body$;
CREATE FUNCTION g() RETURNS integer BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;
COMMENT ON TABLE "odd""name" IS U&'d\0061ta';
