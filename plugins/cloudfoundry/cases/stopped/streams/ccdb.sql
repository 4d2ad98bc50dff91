--
-- PostgreSQL database dump
--

\restrict rozUMjAtWQ0RFQrJenynIxwqBEZCA8kRlezQnqP2qAvnMohzoDKyBJsQzvzmY1M

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
-- Data for Name: isolation_segments; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.isolation_segments (id, guid, created_at, updated_at, name) FROM stdin;
1	933b4c58-120b-499a-b85d-4b6fc9e2903b	2017-11-30 01:02:03.456789	\N	shared
\.


--
-- Data for Name: quota_definitions; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.quota_definitions (id, guid, created_at, updated_at, name, non_basic_services_allowed, total_services, memory_limit, total_routes, instance_memory_limit) FROM stdin;
1	ff33f1b1-2213-e021-c2c4-a888141953ba	2017-11-30 01:02:03.456789	\N	default	t	100	10240	1000	-1
\.


--
-- Data for Name: organizations; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.organizations (id, guid, created_at, updated_at, name, billing_enabled, quota_definition_id, status, default_isolation_segment_guid) FROM stdin;
1	f1584b99-5a47-7098-6ad7-5bb8d29e9734	2017-11-30 01:02:03.456789	\N	system	f	1	active	\N
2	2d387ab9-8437-e5f5-28a8-7b031a086256	2017-11-30 01:02:03.456789	\N	O'Brien & Söhne; "전자정부"	f	1	active	933b4c58-120b-499a-b85d-4b6fc9e2903b
\.


--
-- Data for Name: spaces; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.spaces (id, guid, created_at, updated_at, name, organization_id, allow_ssh, isolation_segment_guid) FROM stdin;
1	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	2017-11-30 01:02:03.456789	\N	dev	2	t	933b4c58-120b-499a-b85d-4b6fc9e2903b
\.


--
-- Data for Name: apps; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.apps (id, guid, created_at, updated_at, space_guid, name, droplet_guid, desired_state, encrypted_environment_variables, salt, max_task_sequence_id) FROM stdin;
1	5640486d-aa68-80d6-67b7-6c958820361a	2017-11-30 01:02:03.456789	\N	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	app-0	e9f07e70-61a3-f7a6-7b94-1d156df857c0	STARTED	MM1tNttxfw2gPLoMMpjTJ9ACjNf2gebSgAP/Q/h7j/H8Q8rmMYW+5HbCpU4+WQTE	0a1b2c3d	1
2	8a8bb7cd-343a-a2ad-99b7-d762030857a2	2017-11-30 01:02:03.456789	\N	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	app-1	cf8a5fef-c196-4589-14ad-4a1b79857ea7	STARTED	MM1tNttxfw2gPLoMMpjTJ9ACjNf2gebSgAP/Q/h7j/H8Q8rmMYW+5HbCpU4+WQTE	0a1b2c3d	1
3	693a9fdd-4c2f-d070-0968-fba0d07ff3c0	2017-11-30 01:02:03.456789	\N	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	app-2	b4a19e94-a323-abd2-5865-096ee556c060	STARTED	dQBwnFTZkn2EiaAM+o+944udmmBD9lHqcvLSsDcPUgg=	0123456789abcdef	1
\.


--
-- Data for Name: buildpacks; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.buildpacks (id, guid, created_at, updated_at, name, key, "position", enabled, locked, filename, sha256_checksum) FROM stdin;
1	f851f55b-a1a8-4e37-c4e0-3439954dcb09	2017-11-30 01:02:03.456789	\N	java_buildpack	f851f55b-a1a8-4e37-c4e0-3439954dcb09_10c8772974b4e22536ddb5619350e7f3ed48293b	1	t	f	java_buildpack-v4.zip	\N
2	edbab455-72c7-2a5d-9440-b40bcc0500c0	2017-11-30 01:02:03.456789	\N	ruby_buildpack	edbab455-72c7-2a5d-9440-b40bcc0500c0_ca6490e4ea07c15b273ebbd1f4056f3c07b5641c	2	t	f	ruby_buildpack-v4.zip	\N
\.


--
-- Data for Name: clock_jobs; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.clock_jobs (id, name, last_started_at, last_completed_at) FROM stdin;
1	app_usage_events	2017-11-30 01:02:03.456789	\N
\.


--
-- Data for Name: domains; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.domains (id, guid, created_at, updated_at, name, wildcard, owning_organization_id, router_group_guid) FROM stdin;
1	9948c645-c094-2477-94f4-c7acdbeb2bb6	2017-11-30 01:02:03.456789	\N	115.68.46.29.xip.io	t	\N	\N
2	b25b0651-e4b6-e887-e519-4135d3692631	2017-11-30 01:02:03.456789	\N	private.example.com	t	2	\N
\.


--
-- Data for Name: droplets; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.droplets (id, guid, created_at, updated_at, droplet_hash, execution_metadata, state, process_types, error_description, package_guid, app_guid, sha256_checksum) FROM stdin;
1	e9f07e70-61a3-f7a6-7b94-1d156df857c0	2017-11-30 01:02:03.456789	\N	98c4c237274ca567cccd6a842a950919ca9e6a63	COPY public.users (id) FROM stdin;\n1\n\\.\n\nDELETE FROM users;	STAGED	{"web":"java $JAVA_OPTS -jar 'x.jar';"}	\N	42937d06-4836-2caa-e00c-54316adbf083	5640486d-aa68-80d6-67b7-6c958820361a	\N
2	cf8a5fef-c196-4589-14ad-4a1b79857ea7	2017-11-30 01:02:03.456789	\N	ee17560c8b77385b5bb8d8687820f9b82f3fdcdf	{}	STAGED	{"web":"java $JAVA_OPTS -jar 'x.jar';"}	\N	ec6ef230-f182-8039-ee79-4566b9c58adc	8a8bb7cd-343a-a2ad-99b7-d762030857a2	\N
3	b4a19e94-a323-abd2-5865-096ee556c060	2017-11-30 01:02:03.456789	\N	ce9ed66d82df7ce028a8623498350e2fb4412132	{}	STAGED	{"web":"java $JAVA_OPTS -jar 'x.jar';"}	\N	1d665b9b-1467-944c-128a-5575119d1cfd	693a9fdd-4c2f-d070-0968-fba0d07ff3c0	\N
\.


--
-- Data for Name: env_groups; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.env_groups (id, guid, created_at, updated_at, name, environment_json, salt) FROM stdin;
1	647580f2-bc99-e88d-56f4-59dc3b08f264	2017-11-30 01:02:03.456789	\N	running	recRcOoUHckf9Hp6/r5yyg==	8899aabb
2	6e83406e-fc17-25c8-8fbf-f14b936d2ced	2017-11-30 01:02:03.456789	\N	staging	recRcOoUHckf9Hp6/r5yyg==	8899aabb
\.


--
-- Data for Name: events; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.events (id, guid, created_at, updated_at, "timestamp", type, actor, actor_type, actee, actee_type, metadata, organization_guid, space_guid, actor_name, actee_name) FROM stdin;
1	554755d1-9a3a-a748-4ddd-da7d7992cafb	2017-11-30 01:02:03.456789	\N	2017-11-30 01:02:03.456789	audit.app.update	e4774cdd-a079-3f86-414e-8b9140bb6db4	user	5640486d-aa68-80d6-67b7-6c958820361a	app	line1\nINSERT INTO schema_migrations (filename) VALUES ('20131231235959_fake.rb');\nline3	2d387ab9-8437-e5f5-28a8-7b031a086256	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	line1\nINSERT INTO schema_migrations (filename) VALUES ('20131231235959_fake.rb');\nline3	app-0
2	6b42f3eb-71df-b37c-3738-cbdd9b8b36ef	2017-11-30 01:02:03.456789	\N	2017-11-30 01:02:03.456789	audit.app.update	e4774cdd-a079-3f86-414e-8b9140bb6db4	user	5640486d-aa68-80d6-67b7-6c958820361a	app	a');\nINSERT INTO public.schema_migrations (filename) VALUES ('x');\n-- trailing comment inside text	2d387ab9-8437-e5f5-28a8-7b031a086256	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	a');\nINSERT INTO public.schema_migrations (filename) VALUES ('x');\n-- trailing comment inside text	app-0
3	65011e27-dadf-ad30-89dc-f5c036ffe56f	2017-11-30 01:02:03.456789	\N	2017-11-30 01:02:03.456789	audit.app.update	e4774cdd-a079-3f86-414e-8b9140bb6db4	user	5640486d-aa68-80d6-67b7-6c958820361a	app	--\n-- Data for Name: identity_zone; Type: TABLE DATA; Schema: public; Owner: uaa\n--\n	2d387ab9-8437-e5f5-28a8-7b031a086256	8ddf8780-39b7-0767-c4a5-bcf4f0c4f65e	--\n-- Data for Name: identity_zone; Type: TABLE DATA; Schema: public; Owner: uaa\n--\n	app-0
\.


--
-- Data for Name: lockings; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.lockings (id, name) FROM stdin;
1	buildpacks
\.


--
-- Data for Name: organizations_isolation_segments; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.organizations_isolation_segments (organization_guid, isolation_segment_guid) FROM stdin;
2d387ab9-8437-e5f5-28a8-7b031a086256	933b4c58-120b-499a-b85d-4b6fc9e2903b
\.


--
-- Data for Name: users; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.users (id, guid, created_at, updated_at, default_space_id, admin, active) FROM stdin;
1	e4774cdd-a079-3f86-414e-8b9140bb6db4	2017-11-30 01:02:03.456789	\N	1	f	t
2	270c1b08-4f3f-146e-b578-7075158d9c53	2017-11-30 01:02:03.456789	\N	\N	f	t
\.


--
-- Data for Name: organizations_users; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.organizations_users (organization_id, user_id) FROM stdin;
2	1
\.


--
-- Data for Name: packages; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.packages (id, guid, created_at, updated_at, type, package_hash, state, error, app_guid, docker_image, sha256_checksum) FROM stdin;
1	42937d06-4836-2caa-e00c-54316adbf083	2017-11-30 01:02:03.456789	\N	bits	f187cebb22cb0444557b525de5b371e58e7199ef	READY	\N	5640486d-aa68-80d6-67b7-6c958820361a	\N	\N
2	ec6ef230-f182-8039-ee79-4566b9c58adc	2017-11-30 01:02:03.456789	\N	bits	b78f576611ec06f96af3ca654c22172a5d746c40	READY	\N	8a8bb7cd-343a-a2ad-99b7-d762030857a2	\N	\N
3	1d665b9b-1467-944c-128a-5575119d1cfd	2017-11-30 01:02:03.456789	\N	bits	c5fd961c9f737a955a308050062e7a2c34ee67c3	READY	\N	693a9fdd-4c2f-d070-0968-fba0d07ff3c0	\N	\N
\.


--
-- Data for Name: schema_migrations; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.schema_migrations (filename) FROM stdin;
20130131184954_new_initial_schema.rb
20130219194917_create_stacks_table.rb
20171123191651_add_index_to_service_binding_on_name.rb
\.


--
-- Data for Name: security_groups; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.security_groups (id, guid, created_at, updated_at, name, rules, staging_default, running_default) FROM stdin;
1	84c7b896-0786-7094-a77d-aaeeac94fca9	2017-11-30 01:02:03.456789	\N	public_networks	[{"destination":"0.0.0.0-9.255.255.255","protocol":"all"}]	t	t
2	4f8195d5-516d-e740-6021-30ec91fc6459	2017-11-30 01:02:03.456789	\N	nasty	line1\nINSERT INTO schema_migrations (filename) VALUES ('20131231235959_fake.rb');\nline3	f	f
\.


--
-- Data for Name: service_brokers; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.service_brokers (id, guid, created_at, updated_at, name, broker_url, auth_password, salt, auth_username) FROM stdin;
1	d1633d2f-9c2c-ba98-7e7e-2fa2e3415f34	2017-11-30 01:02:03.456789	\N	mysql-broker	http://10.0.0.1:8080	FeAZjLIgFHfTxD8+QbgqiQ==	deadbeef	admin
\.


--
-- Data for Name: spaces_developers; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.spaces_developers (space_id, user_id) FROM stdin;
1	1
\.


--
-- Data for Name: stacks; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.stacks (id, guid, created_at, updated_at, name, description) FROM stdin;
1	e2b13698-7034-c1b5-7b7c-cd643f9191ed	2017-11-30 01:02:03.456789	\N	cflinuxfs2	Cloud Foundry Linux-based filesystem\n(trusty)
\.


--
-- Data for Name: tasks; Type: TABLE DATA; Schema: public; Owner: postgres
--

COPY public.tasks (id, guid, created_at, updated_at, name, command, state, memory_in_mb, failure_reason, app_guid, droplet_guid) FROM stdin;
1	809d4580-aaed-4156-5abc-38d58f77f840	2017-11-30 01:02:03.456789	\N	task 0	line1\nINSERT INTO schema_migrations (filename) VALUES ('20131231235959_fake.rb');\nline3	SUCCEEDED	256	line1\nINSERT INTO schema_migrations (filename) VALUES ('20131231235959_fake.rb');\nline3	5640486d-aa68-80d6-67b7-6c958820361a	e9f07e70-61a3-f7a6-7b94-1d156df857c0
2	83f1535f-99ab-0bf4-e9d0-2dfd85d3e3f7	2017-11-30 01:02:03.456789	\N	task 1	a');\nINSERT INTO public.schema_migrations (filename) VALUES ('x');\n-- trailing comment inside text	SUCCEEDED	256	a');\nINSERT INTO public.schema_migrations (filename) VALUES ('x');\n-- trailing comment inside text	5640486d-aa68-80d6-67b7-6c958820361a	e9f07e70-61a3-f7a6-7b94-1d156df857c0
3	0f826a89-cf68-c399-c5f4-cf320c1a5842	2017-11-30 01:02:03.456789	\N	task 2	--\n-- Data for Name: identity_zone; Type: TABLE DATA; Schema: public; Owner: uaa\n--\n	SUCCEEDED	256	--\n-- Data for Name: identity_zone; Type: TABLE DATA; Schema: public; Owner: uaa\n--\n	5640486d-aa68-80d6-67b7-6c958820361a	e9f07e70-61a3-f7a6-7b94-1d156df857c0
\.


--
-- Name: app_security_groups_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.app_security_groups_id_seq', 2, true);


--
-- Name: apps_v3_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.apps_v3_id_seq', 3, true);


--
-- Name: buildpacks_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.buildpacks_id_seq', 2, true);


--
-- Name: clock_jobs_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.clock_jobs_id_seq', 1, true);


--
-- Name: domains_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.domains_id_seq', 2, true);


--
-- Name: droplets_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.droplets_id_seq', 3, true);


--
-- Name: env_groups_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.env_groups_id_seq', 2, true);


--
-- Name: events_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.events_id_seq', 21, true);


--
-- Name: isolation_segments_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.isolation_segments_id_seq', 1, true);


--
-- Name: lockings_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.lockings_id_seq', 1, true);


--
-- Name: organizations_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.organizations_id_seq', 2, true);


--
-- Name: packages_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.packages_id_seq', 3, true);


--
-- Name: quota_definitions_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.quota_definitions_id_seq', 1, true);


--
-- Name: service_brokers_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.service_brokers_id_seq', 1, true);


--
-- Name: spaces_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.spaces_id_seq', 1, true);


--
-- Name: stacks_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.stacks_id_seq', 1, true);


--
-- Name: tasks_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.tasks_id_seq', 21, true);


--
-- Name: users_id_seq; Type: SEQUENCE SET; Schema: public; Owner: postgres
--

SELECT pg_catalog.setval('public.users_id_seq', 2, true);


--
-- PostgreSQL database dump complete
--

\unrestrict rozUMjAtWQ0RFQrJenynIxwqBEZCA8kRlezQnqP2qAvnMohzoDKyBJsQzvzmY1M

