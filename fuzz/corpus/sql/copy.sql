--
-- PostgreSQL database dump
--

\restrict abc123

SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);

CREATE TABLE public.picked (a integer, b text);

COPY public.picked (a, b) FROM stdin;
1	one\ttab
no	\N
\\.	\\
\.

COPY public.gone (a) FROM stdin;
1
\.

--
-- PostgreSQL database dump complete
--

\unrestrict abc123
