--
-- PostgreSQL database dump
--

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;

COPY public.databasechangelog (id, author, filename, dateexecuted, orderexecuted, exectype, md5sum, description, comments, tag, liquibase, contexts, labels, deployment_id) FROM stdin;
notes	acme	db/changelog.yaml	2026-01-01 00:00:00	1	EXECUTED	9:0			\N	4.28.0	\N	\N	42
tags	acme	db/changelog.yaml	2026-01-01 00:00:00	2	EXECUTED	9:0			\N	4.28.0	\N	\N	42
\.

COPY public.databasechangeloglock (id, locked, lockgranted, lockedby) FROM stdin;
1	f	\N	\N
\.

COPY public.note (id, text) FROM stdin;
1	Turn the compost
\.

--
-- PostgreSQL database dump complete
--

