--
-- PostgreSQL database dump
--

\restrict S6bZLZCBb59ti4P5xCEP0TkfjDalGAmDjqhGpL1zAU947b22Q8IZ7w6k3hCp4mM

-- Dumped from database version 15.20 (Debian 15.20-0+deb12u1)
-- Dumped by pg_dump version 15.20 (Debian 15.20-0+deb12u1)

SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

--
-- Data for Name: external_group_mapping; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.external_group_mapping (group_id, external_group, added, origin, identity_zone_id) FROM stdin;
745cf05d-8a53-6dd6-8043-aa162727995b	cn=grp;"q",dc='x'	2017-11-30 00:00:00	ldap	\N
\.


--
-- Data for Name: group_membership; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.group_membership (group_id, member_id, member_type, authorities, added, origin, identity_zone_id) FROM stdin;
359cf733-247e-c2af-7d01-bcb9ea4892f0	21232f29-7a57-a5a7-4389-4a0e4a801fc3	USER	READ	2017-11-30 00:00:00	uaa	\N
7dbee095-ccc7-97e1-1660-6c3f7271da4e	21232f29-7a57-a5a7-4389-4a0e4a801fc3	USER	READ	2017-11-30 00:00:00	uaa	\N
745cf05d-8a53-6dd6-8043-aa162727995b	21232f29-7a57-a5a7-4389-4a0e4a801fc3	USER	READ	2017-11-30 00:00:00	uaa	\N
2fc10de1-9553-7f27-713f-bbb9e9c04e74	21232f29-7a57-a5a7-4389-4a0e4a801fc3	USER	READ	2017-11-30 00:00:00	uaa	\N
\.


--
-- Data for Name: groups; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.groups (id, displayname, created, lastmodified, version, identity_zone_id, description) FROM stdin;
359cf733-247e-c2af-7d01-bcb9ea4892f0	uaa.admin	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	d
7dbee095-ccc7-97e1-1660-6c3f7271da4e	cloud_controller.admin	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	d
745cf05d-8a53-6dd6-8043-aa162727995b	scim.read	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	d
2fc10de1-9553-7f27-713f-bbb9e9c04e74	clients.read	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	d
\.


--
-- Data for Name: identity_provider; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.identity_provider (id, created, lastmodified, version, identity_zone_id, name, origin_key, type, config, active) FROM stdin;
d33b89b4-99c2-3a3e-cadb-c3f4412ac840	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	uaa	uaa	uaa	{"x":"y'; DELETE FROM users;\nINSERT INTO users VALUES (1);"}	t
3cdaaef7-b60f-1a10-ade9-05140b9d33f3	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	ldap	ldap	ldap	{"x":"y'; DELETE FROM users;\nINSERT INTO users VALUES (1);"}	t
95ac512d-70fc-d7dd-a395-1eaafbf47bdf	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	keystone	keystone	keystone	{"x":"y'; DELETE FROM users;\nINSERT INTO users VALUES (1);"}	t
8c80e2c6-d3dc-a2ce-1f86-b643f1c16252	2017-11-30 00:00:00	2017-11-30 00:00:00	0	uaa	login-server	login-server	login-server	{"x":"y'; DELETE FROM users;\nINSERT INTO users VALUES (1);"}	t
\.


--
-- Data for Name: identity_zone; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.identity_zone (id, created, lastmodified, version, subdomain, name, description, config) FROM stdin;
uaa	2017-11-30 00:00:00	2017-11-30 00:00:00	0		uaa	The system zone for backwards compatibility	{"tokenPolicy":{"keys":{"k1":"-----BEGIN RSA PRIVATE KEY-----\nMIIE;\n-----END RSA PRIVATE KEY-----\n"}}}
\.


--
-- Data for Name: oauth_client_details; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.oauth_client_details (client_id, resource_ids, client_secret, scope, authorized_grant_types, web_server_redirect_uri, authorities, access_token_validity, refresh_token_validity, additional_information, autoapprove, identity_zone_id, lastmodified, show_on_home_page, app_icon) FROM stdin;
cf	none	$2a$10$Fj0X	cloud_controller.read,openid	password,refresh_token	http://*.x/**;$1	uaa.none	600	0	{"autoapprove":["true"],"n":"a\\nb"}	true	uaa	2017-11-30 00:00:00	t	\\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff
cloud_controller	none	$2a$10$Fj0X	cloud_controller.read,openid	password,refresh_token	http://*.x/**;$1	uaa.none	600	0	{"autoapprove":["true"],"n":"a\\nb"}	true	uaa	2017-11-30 00:00:00	t	\\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff
ssh-proxy	none	$2a$10$Fj0X	cloud_controller.read,openid	password,refresh_token	http://*.x/**;$1	uaa.none	600	0	{"autoapprove":["true"],"n":"a\\nb"}	true	uaa	2017-11-30 00:00:00	t	\\x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff
\.


--
-- Data for Name: oauth_code; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.oauth_code (code, authentication, created, expiresat, user_id, client_id) FROM stdin;
abc$$	\\x0001aced0005737200275c273b0a	2017-11-30 00:00:00	1	e4774cdd-a079-3f86-414e-8b9140bb6db4	cf
\.


--
-- Data for Name: schema_version; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.schema_version (installed_rank, version, description, type, script, checksum, installed_by, installed_on, execution_time, success) FROM stdin;
901	9.1	nasty 'desc'	SQL	V9__x.sql	-1	uaaadmin	2026-11-29 07:49:45.774028	1	t
902	9.2	nasty 'desc'	SQL	V9__x.sql	-1	uaaadmin	2026-11-29 07:49:45.774028	1	t
903	9.3	nasty 'desc'	SQL	V9__x.sql	-1	uaaadmin	2026-11-29 07:49:45.774028	1	t
\.


--
-- Data for Name: sec_audit; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.sec_audit (principal_id, event_type, origin, event_data, created, identity_zone_id) FROM stdin;
e4774cdd-a079-3f86-414e-8b9140bb6db4	0	remoteAddress=1.2.3.4; INSERT INTO users	line1\nINSERT INTO schema_migrations (filename) VALUES ('20131231235959_fake.rb');\nline3	2017-11-30 00:00:00	\N
e4774cdd-a079-3f86-414e-8b9140bb6db4	1	remoteAddress=1.2.3.4; INSERT INTO users	a');\nINSERT INTO public.schema_migrations (filename) VALUES ('x');\n-- trailing comment inside text	2017-11-30 00:00:00	\N
e4774cdd-a079-3f86-414e-8b9140bb6db4	2	remoteAddress=1.2.3.4; INSERT INTO users	--\n-- Data for Name: identity_zone; Type: TABLE DATA; Schema: public; Owner: uaa\n--\n	2017-11-30 00:00:00	\N
e4774cdd-a079-3f86-414e-8b9140bb6db4	3	remoteAddress=1.2.3.4; INSERT INTO users	SELECT pg_catalog.setval('public.apps_v3_id_seq', 1, false);\nSET row_security = off;\n\\connect template1\n\\! echo pwned	2017-11-30 00:00:00	\N
e4774cdd-a079-3f86-414e-8b9140bb6db4	4	remoteAddress=1.2.3.4; INSERT INTO users	COPY public.users (id) FROM stdin;\n1\n\\.\n\nDELETE FROM users;	2017-11-30 00:00:00	\N
\.


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.users (id, created, lastmodified, version, username, password, email, givenname, familyname, active, phonenumber, authorities, verified, origin, external_id, identity_zone_id, salt) FROM stdin;
21232f29-7a57-a5a7-4389-4a0e4a801fc3	2017-11-30 00:00:00	2017-11-30 00:00:00	0	admin	$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy	admin	admin	admin	t	\N	uaa.admin,uaa.user	t	uaa	\N	uaa	\N
e4774cdd-a079-3f86-414e-8b9140bb6db4	2017-11-30 00:00:00	2017-11-30 00:00:00	0	o'brien@example.com	$2a$10$7EqJtq98hPqEX7fNZaFWoOhi5zJ5z1o8m4m9sE8z0lFf2bB6a3Z5e	o'brien@example.com	Séan;\nINSERT INTO identity_zone (id) VALUES ('x');	O'Brien\\	t	\\N	uaa.user	f	uaa	\N	uaa	\N
270c1b08-4f3f-146e-b578-7075158d9c53	2017-11-30 00:00:00	2017-11-30 00:00:00	0	admin		a@ldap	관리자	😀	t	\N	uaa.user	f	ldap	CN=admin,OU="x;y",DC=ex	uaa	\N
\.


--
-- PostgreSQL database dump complete
--

\unrestrict S6bZLZCBb59ti4P5xCEP0TkfjDalGAmDjqhGpL1zAU947b22Q8IZ7w6k3hCp4mM

