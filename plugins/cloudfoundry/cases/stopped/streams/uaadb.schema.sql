--
-- PostgreSQL database dump
--

\restrict Ohg5SJp5Z3PfGqT9AJ2ACX1XtdzgyJdQhfsL2BBdMUfDOjkj2Sjb9WbJUyY9vwh

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

SET default_tablespace = '';

SET default_table_access_method = heap;

--
-- Name: external_group_mapping; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.external_group_mapping (
    group_id character varying(36) NOT NULL,
    external_group character varying(255) NOT NULL,
    added timestamp without time zone DEFAULT now() NOT NULL,
    origin character varying(36),
    identity_zone_id character varying(36)
);


--
-- Name: group_membership; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.group_membership (
    group_id character varying(36) NOT NULL,
    member_id character varying(36) NOT NULL,
    member_type character varying(8) DEFAULT 'USER'::character varying NOT NULL,
    authorities character varying(255) DEFAULT 'READ'::character varying NOT NULL,
    added timestamp without time zone DEFAULT now() NOT NULL,
    origin character varying(36) DEFAULT 'uaa'::character varying NOT NULL,
    identity_zone_id character varying(36)
);


--
-- Name: groups; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.groups (
    id character varying(36) NOT NULL,
    displayname character varying(255) NOT NULL,
    created timestamp without time zone DEFAULT now() NOT NULL,
    lastmodified timestamp without time zone DEFAULT now() NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    identity_zone_id character varying(36) DEFAULT 'uaa'::character varying NOT NULL,
    description character varying(255)
);


--
-- Name: identity_provider; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.identity_provider (
    id character varying(36) NOT NULL,
    created timestamp without time zone DEFAULT now(),
    lastmodified timestamp without time zone DEFAULT now(),
    version bigint DEFAULT 0,
    identity_zone_id character varying(36) NOT NULL,
    name character varying(255) NOT NULL,
    origin_key character varying(36) NOT NULL,
    type character varying(255) NOT NULL,
    config text,
    active boolean DEFAULT true NOT NULL
);


--
-- Name: identity_zone; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.identity_zone (
    id character varying(36) NOT NULL,
    created timestamp without time zone DEFAULT now(),
    lastmodified timestamp without time zone DEFAULT now(),
    version bigint DEFAULT 0,
    subdomain character varying(255) NOT NULL,
    name character varying(255) NOT NULL,
    description text,
    config text
);


--
-- Name: oauth_client_details; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.oauth_client_details (
    client_id character varying(255) NOT NULL,
    resource_ids character varying(1024),
    client_secret character varying(256),
    scope character varying(4000),
    authorized_grant_types character varying(256),
    web_server_redirect_uri character varying(1024),
    authorities character varying(4000),
    access_token_validity integer,
    refresh_token_validity integer DEFAULT 0,
    additional_information character varying(4096),
    autoapprove character varying(1024),
    identity_zone_id character varying(36) DEFAULT 'uaa'::character varying NOT NULL,
    lastmodified timestamp without time zone DEFAULT now() NOT NULL,
    show_on_home_page boolean DEFAULT true NOT NULL,
    app_icon bytea
);


--
-- Name: oauth_code; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.oauth_code (
    code character varying(256),
    authentication bytea,
    created timestamp without time zone DEFAULT now() NOT NULL,
    expiresat bigint DEFAULT 0 NOT NULL,
    user_id character varying(36),
    client_id character varying(255)
);


--
-- Name: schema_version; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_version (
    installed_rank integer NOT NULL,
    version character varying(50),
    description character varying(200) NOT NULL,
    type character varying(20) NOT NULL,
    script character varying(1000) NOT NULL,
    checksum integer,
    installed_by character varying(100) NOT NULL,
    installed_on timestamp without time zone DEFAULT now() NOT NULL,
    execution_time integer NOT NULL,
    success boolean NOT NULL
);


--
-- Name: sec_audit; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.sec_audit (
    principal_id character varying(255) NOT NULL,
    event_type integer NOT NULL,
    origin character varying(255) NOT NULL,
    event_data character varying(255),
    created timestamp without time zone DEFAULT now(),
    identity_zone_id character varying(36)
);


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id character(36) NOT NULL,
    created timestamp without time zone DEFAULT now() NOT NULL,
    lastmodified timestamp without time zone DEFAULT now() NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    username character varying(255) NOT NULL,
    password character varying(255) NOT NULL,
    email character varying(255) NOT NULL,
    givenname character varying(255),
    familyname character varying(255),
    active boolean DEFAULT true,
    phonenumber character varying(255),
    authorities character varying(1024) DEFAULT 'uaa.user'::character varying,
    verified boolean DEFAULT false NOT NULL,
    origin character varying(36) DEFAULT 'uaa'::character varying NOT NULL,
    external_id character varying(255),
    identity_zone_id character varying(36) DEFAULT 'uaa'::character varying NOT NULL,
    salt character varying(36)
);


--
-- Name: groups groups_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.groups
    ADD CONSTRAINT groups_pkey PRIMARY KEY (id);


--
-- Name: identity_provider identity_provider_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.identity_provider
    ADD CONSTRAINT identity_provider_pkey PRIMARY KEY (id);


--
-- Name: identity_zone identity_zone_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.identity_zone
    ADD CONSTRAINT identity_zone_pkey PRIMARY KEY (id);


--
-- Name: oauth_client_details oauth_client_details_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.oauth_client_details
    ADD CONSTRAINT oauth_client_details_pkey PRIMARY KEY (client_id, identity_zone_id);


--
-- Name: schema_version schema_version_pk; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_version
    ADD CONSTRAINT schema_version_pk PRIMARY KEY (installed_rank);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: groups_unique_key; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX groups_unique_key ON public.groups USING btree (displayname, identity_zone_id);


--
-- Name: key_in_zone; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX key_in_zone ON public.identity_provider USING btree (identity_zone_id, origin_key);


--
-- Name: subdomain; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX subdomain ON public.identity_zone USING btree (subdomain);


--
-- Name: users_unique_key; Type: INDEX; Schema: public; Owner: -
--

CREATE UNIQUE INDEX users_unique_key ON public.users USING btree (origin, lower((username)::text), identity_zone_id);


--
-- PostgreSQL database dump complete
--

\unrestrict Ohg5SJp5Z3PfGqT9AJ2ACX1XtdzgyJdQhfsL2BBdMUfDOjkj2Sjb9WbJUyY9vwh

