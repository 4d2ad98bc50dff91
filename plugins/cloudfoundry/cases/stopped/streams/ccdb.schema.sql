--
-- PostgreSQL database dump
--

\restrict OkDCqudZZmulycVq3dICDfI5EFfr5HMxY3xysuo0LpbsM8cMa0pXVLhYGMb4FRB

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
-- Name: security_groups; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.security_groups (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    rules text,
    staging_default boolean DEFAULT false,
    running_default boolean DEFAULT false
);


--
-- Name: app_security_groups_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.app_security_groups_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: app_security_groups_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.app_security_groups_id_seq OWNED BY public.security_groups.id;


--
-- Name: apps; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.apps (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    space_guid text,
    name text,
    droplet_guid text,
    desired_state text DEFAULT 'STOPPED'::text,
    encrypted_environment_variables text,
    salt text,
    max_task_sequence_id integer DEFAULT 1
);


--
-- Name: apps_v3_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.apps_v3_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: apps_v3_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.apps_v3_id_seq OWNED BY public.apps.id;


--
-- Name: buildpacks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.buildpacks (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    key text,
    "position" integer NOT NULL,
    enabled boolean DEFAULT true,
    locked boolean DEFAULT false,
    filename text,
    sha256_checksum text
);


--
-- Name: buildpacks_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.buildpacks_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: buildpacks_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.buildpacks_id_seq OWNED BY public.buildpacks.id;


--
-- Name: clock_jobs; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.clock_jobs (
    id integer NOT NULL,
    name text NOT NULL,
    last_started_at timestamp without time zone,
    last_completed_at timestamp without time zone
);


--
-- Name: clock_jobs_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.clock_jobs_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: clock_jobs_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.clock_jobs_id_seq OWNED BY public.clock_jobs.id;


--
-- Name: domains; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.domains (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    wildcard boolean DEFAULT true NOT NULL,
    owning_organization_id integer,
    router_group_guid text
);


--
-- Name: domains_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.domains_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: domains_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.domains_id_seq OWNED BY public.domains.id;


--
-- Name: droplets; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.droplets (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    droplet_hash text,
    execution_metadata text,
    state text NOT NULL,
    process_types text,
    error_description text,
    package_guid text,
    app_guid text,
    sha256_checksum text
);


--
-- Name: droplets_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.droplets_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: droplets_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.droplets_id_seq OWNED BY public.droplets.id;


--
-- Name: env_groups; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.env_groups (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    environment_json text,
    salt text
);


--
-- Name: env_groups_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.env_groups_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: env_groups_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.env_groups_id_seq OWNED BY public.env_groups.id;


--
-- Name: events; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.events (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    "timestamp" timestamp without time zone NOT NULL,
    type text NOT NULL,
    actor text NOT NULL,
    actor_type text NOT NULL,
    actee text NOT NULL,
    actee_type text NOT NULL,
    metadata text,
    organization_guid text DEFAULT ''::text NOT NULL,
    space_guid text DEFAULT ''::text NOT NULL,
    actor_name text,
    actee_name text
);


--
-- Name: events_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.events_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: events_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.events_id_seq OWNED BY public.events.id;


--
-- Name: isolation_segments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.isolation_segments (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL
);


--
-- Name: isolation_segments_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.isolation_segments_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: isolation_segments_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.isolation_segments_id_seq OWNED BY public.isolation_segments.id;


--
-- Name: lockings; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.lockings (
    id integer NOT NULL,
    name text NOT NULL
);


--
-- Name: lockings_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.lockings_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: lockings_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.lockings_id_seq OWNED BY public.lockings.id;


--
-- Name: organizations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.organizations (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    billing_enabled boolean DEFAULT false NOT NULL,
    quota_definition_id integer NOT NULL,
    status text DEFAULT 'active'::text,
    default_isolation_segment_guid text
);


--
-- Name: organizations_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.organizations_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: organizations_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.organizations_id_seq OWNED BY public.organizations.id;


--
-- Name: organizations_isolation_segments; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.organizations_isolation_segments (
    organization_guid text NOT NULL,
    isolation_segment_guid text NOT NULL
);


--
-- Name: organizations_users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.organizations_users (
    organization_id integer NOT NULL,
    user_id integer NOT NULL
);


--
-- Name: packages; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.packages (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    type text,
    package_hash text,
    state text NOT NULL,
    error text,
    app_guid text,
    docker_image text,
    sha256_checksum text
);


--
-- Name: packages_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.packages_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: packages_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.packages_id_seq OWNED BY public.packages.id;


--
-- Name: quota_definitions; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.quota_definitions (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    non_basic_services_allowed boolean NOT NULL,
    total_services integer NOT NULL,
    memory_limit integer NOT NULL,
    total_routes integer NOT NULL,
    instance_memory_limit integer DEFAULT '-1'::integer NOT NULL
);


--
-- Name: quota_definitions_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.quota_definitions_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: quota_definitions_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.quota_definitions_id_seq OWNED BY public.quota_definitions.id;


--
-- Name: schema_migrations; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.schema_migrations (
    filename text NOT NULL
);


--
-- Name: service_brokers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.service_brokers (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    broker_url text NOT NULL,
    auth_password text NOT NULL,
    salt text,
    auth_username text
);


--
-- Name: service_brokers_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.service_brokers_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: service_brokers_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.service_brokers_id_seq OWNED BY public.service_brokers.id;


--
-- Name: spaces; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.spaces (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    organization_id integer NOT NULL,
    allow_ssh boolean DEFAULT true,
    isolation_segment_guid text
);


--
-- Name: spaces_developers; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.spaces_developers (
    space_id integer NOT NULL,
    user_id integer NOT NULL
);


--
-- Name: spaces_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.spaces_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: spaces_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.spaces_id_seq OWNED BY public.spaces.id;


--
-- Name: stacks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.stacks (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    description text
);


--
-- Name: stacks_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.stacks_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: stacks_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.stacks_id_seq OWNED BY public.stacks.id;


--
-- Name: tasks; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.tasks (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    name text NOT NULL,
    command text NOT NULL,
    state text NOT NULL,
    memory_in_mb integer,
    failure_reason character varying(4096),
    app_guid text NOT NULL,
    droplet_guid text NOT NULL
);


--
-- Name: tasks_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.tasks_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: tasks_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.tasks_id_seq OWNED BY public.tasks.id;


--
-- Name: users; Type: TABLE; Schema: public; Owner: -
--

CREATE TABLE public.users (
    id integer NOT NULL,
    guid text NOT NULL,
    created_at timestamp without time zone DEFAULT CURRENT_TIMESTAMP NOT NULL,
    updated_at timestamp without time zone,
    default_space_id integer,
    admin boolean DEFAULT false,
    active boolean DEFAULT false
);


--
-- Name: users_id_seq; Type: SEQUENCE; Schema: public; Owner: -
--

CREATE SEQUENCE public.users_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;


--
-- Name: users_id_seq; Type: SEQUENCE OWNED BY; Schema: public; Owner: -
--

ALTER SEQUENCE public.users_id_seq OWNED BY public.users.id;


--
-- Name: apps id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.apps ALTER COLUMN id SET DEFAULT nextval('public.apps_v3_id_seq'::regclass);


--
-- Name: buildpacks id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.buildpacks ALTER COLUMN id SET DEFAULT nextval('public.buildpacks_id_seq'::regclass);


--
-- Name: clock_jobs id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clock_jobs ALTER COLUMN id SET DEFAULT nextval('public.clock_jobs_id_seq'::regclass);


--
-- Name: domains id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domains ALTER COLUMN id SET DEFAULT nextval('public.domains_id_seq'::regclass);


--
-- Name: droplets id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.droplets ALTER COLUMN id SET DEFAULT nextval('public.droplets_id_seq'::regclass);


--
-- Name: env_groups id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.env_groups ALTER COLUMN id SET DEFAULT nextval('public.env_groups_id_seq'::regclass);


--
-- Name: events id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events ALTER COLUMN id SET DEFAULT nextval('public.events_id_seq'::regclass);


--
-- Name: isolation_segments id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.isolation_segments ALTER COLUMN id SET DEFAULT nextval('public.isolation_segments_id_seq'::regclass);


--
-- Name: lockings id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.lockings ALTER COLUMN id SET DEFAULT nextval('public.lockings_id_seq'::regclass);


--
-- Name: organizations id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations ALTER COLUMN id SET DEFAULT nextval('public.organizations_id_seq'::regclass);


--
-- Name: packages id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.packages ALTER COLUMN id SET DEFAULT nextval('public.packages_id_seq'::regclass);


--
-- Name: quota_definitions id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.quota_definitions ALTER COLUMN id SET DEFAULT nextval('public.quota_definitions_id_seq'::regclass);


--
-- Name: security_groups id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.security_groups ALTER COLUMN id SET DEFAULT nextval('public.app_security_groups_id_seq'::regclass);


--
-- Name: service_brokers id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.service_brokers ALTER COLUMN id SET DEFAULT nextval('public.service_brokers_id_seq'::regclass);


--
-- Name: spaces id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces ALTER COLUMN id SET DEFAULT nextval('public.spaces_id_seq'::regclass);


--
-- Name: stacks id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stacks ALTER COLUMN id SET DEFAULT nextval('public.stacks_id_seq'::regclass);


--
-- Name: tasks id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks ALTER COLUMN id SET DEFAULT nextval('public.tasks_id_seq'::regclass);


--
-- Name: users id; Type: DEFAULT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users ALTER COLUMN id SET DEFAULT nextval('public.users_id_seq'::regclass);


--
-- Name: apps apps_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.apps
    ADD CONSTRAINT apps_guid_key UNIQUE (guid);


--
-- Name: apps apps_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.apps
    ADD CONSTRAINT apps_pkey PRIMARY KEY (id);


--
-- Name: apps apps_space_guid_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.apps
    ADD CONSTRAINT apps_space_guid_name_key UNIQUE (space_guid, name);


--
-- Name: buildpacks buildpacks_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.buildpacks
    ADD CONSTRAINT buildpacks_guid_key UNIQUE (guid);


--
-- Name: buildpacks buildpacks_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.buildpacks
    ADD CONSTRAINT buildpacks_name_key UNIQUE (name);


--
-- Name: buildpacks buildpacks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.buildpacks
    ADD CONSTRAINT buildpacks_pkey PRIMARY KEY (id);


--
-- Name: clock_jobs clock_jobs_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clock_jobs
    ADD CONSTRAINT clock_jobs_name_key UNIQUE (name);


--
-- Name: clock_jobs clock_jobs_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.clock_jobs
    ADD CONSTRAINT clock_jobs_pkey PRIMARY KEY (id);


--
-- Name: domains domains_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_guid_key UNIQUE (guid);


--
-- Name: domains domains_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_name_key UNIQUE (name);


--
-- Name: domains domains_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT domains_pkey PRIMARY KEY (id);


--
-- Name: droplets droplets_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.droplets
    ADD CONSTRAINT droplets_guid_key UNIQUE (guid);


--
-- Name: droplets droplets_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.droplets
    ADD CONSTRAINT droplets_pkey PRIMARY KEY (id);


--
-- Name: env_groups env_groups_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.env_groups
    ADD CONSTRAINT env_groups_guid_key UNIQUE (guid);


--
-- Name: env_groups env_groups_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.env_groups
    ADD CONSTRAINT env_groups_name_key UNIQUE (name);


--
-- Name: env_groups env_groups_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.env_groups
    ADD CONSTRAINT env_groups_pkey PRIMARY KEY (id);


--
-- Name: events events_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_guid_key UNIQUE (guid);


--
-- Name: events events_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (id);


--
-- Name: isolation_segments isolation_segments_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.isolation_segments
    ADD CONSTRAINT isolation_segments_guid_key UNIQUE (guid);


--
-- Name: isolation_segments isolation_segments_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.isolation_segments
    ADD CONSTRAINT isolation_segments_name_key UNIQUE (name);


--
-- Name: isolation_segments isolation_segments_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.isolation_segments
    ADD CONSTRAINT isolation_segments_pkey PRIMARY KEY (id);


--
-- Name: lockings lockings_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.lockings
    ADD CONSTRAINT lockings_name_key UNIQUE (name);


--
-- Name: lockings lockings_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.lockings
    ADD CONSTRAINT lockings_pkey PRIMARY KEY (id);


--
-- Name: organizations organizations_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_guid_key UNIQUE (guid);


--
-- Name: organizations_isolation_segments organizations_isolation_segments_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations_isolation_segments
    ADD CONSTRAINT organizations_isolation_segments_pkey PRIMARY KEY (organization_guid, isolation_segment_guid);


--
-- Name: organizations organizations_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_name_key UNIQUE (name);


--
-- Name: organizations organizations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_pkey PRIMARY KEY (id);


--
-- Name: organizations_users organizations_users_organization_id_user_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations_users
    ADD CONSTRAINT organizations_users_organization_id_user_id_key UNIQUE (organization_id, user_id);


--
-- Name: packages packages_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.packages
    ADD CONSTRAINT packages_guid_key UNIQUE (guid);


--
-- Name: packages packages_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.packages
    ADD CONSTRAINT packages_pkey PRIMARY KEY (id);


--
-- Name: quota_definitions quota_definitions_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.quota_definitions
    ADD CONSTRAINT quota_definitions_guid_key UNIQUE (guid);


--
-- Name: quota_definitions quota_definitions_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.quota_definitions
    ADD CONSTRAINT quota_definitions_name_key UNIQUE (name);


--
-- Name: quota_definitions quota_definitions_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.quota_definitions
    ADD CONSTRAINT quota_definitions_pkey PRIMARY KEY (id);


--
-- Name: schema_migrations schema_migrations_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (filename);


--
-- Name: security_groups security_groups_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.security_groups
    ADD CONSTRAINT security_groups_pkey PRIMARY KEY (id);


--
-- Name: service_brokers service_brokers_broker_url_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.service_brokers
    ADD CONSTRAINT service_brokers_broker_url_key UNIQUE (broker_url);


--
-- Name: service_brokers service_brokers_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.service_brokers
    ADD CONSTRAINT service_brokers_guid_key UNIQUE (guid);


--
-- Name: service_brokers service_brokers_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.service_brokers
    ADD CONSTRAINT service_brokers_name_key UNIQUE (name);


--
-- Name: service_brokers service_brokers_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.service_brokers
    ADD CONSTRAINT service_brokers_pkey PRIMARY KEY (id);


--
-- Name: spaces_developers spaces_developers_space_id_user_id_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces_developers
    ADD CONSTRAINT spaces_developers_space_id_user_id_key UNIQUE (space_id, user_id);


--
-- Name: spaces spaces_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_guid_key UNIQUE (guid);


--
-- Name: spaces spaces_organization_id_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_organization_id_name_key UNIQUE (organization_id, name);


--
-- Name: spaces spaces_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_pkey PRIMARY KEY (id);


--
-- Name: stacks stacks_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stacks
    ADD CONSTRAINT stacks_guid_key UNIQUE (guid);


--
-- Name: stacks stacks_name_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stacks
    ADD CONSTRAINT stacks_name_key UNIQUE (name);


--
-- Name: stacks stacks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.stacks
    ADD CONSTRAINT stacks_pkey PRIMARY KEY (id);


--
-- Name: tasks tasks_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_guid_key UNIQUE (guid);


--
-- Name: tasks tasks_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT tasks_pkey PRIMARY KEY (id);


--
-- Name: users users_guid_key; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_guid_key UNIQUE (guid);


--
-- Name: users users_pkey; Type: CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);


--
-- Name: apps fk_apps_space_guid; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.apps
    ADD CONSTRAINT fk_apps_space_guid FOREIGN KEY (space_guid) REFERENCES public.spaces(guid);


--
-- Name: domains fk_domains_owning_org_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.domains
    ADD CONSTRAINT fk_domains_owning_org_id FOREIGN KEY (owning_organization_id) REFERENCES public.organizations(id);


--
-- Name: droplets fk_droplets_app_guid; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.droplets
    ADD CONSTRAINT fk_droplets_app_guid FOREIGN KEY (app_guid) REFERENCES public.apps(guid);


--
-- Name: organizations_isolation_segments fk_isolation_segments_guid; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations_isolation_segments
    ADD CONSTRAINT fk_isolation_segments_guid FOREIGN KEY (isolation_segment_guid) REFERENCES public.isolation_segments(guid);


--
-- Name: organizations fk_org_quota_definition_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT fk_org_quota_definition_id FOREIGN KEY (quota_definition_id) REFERENCES public.quota_definitions(id);


--
-- Name: organizations_isolation_segments fk_organization_guid; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations_isolation_segments
    ADD CONSTRAINT fk_organization_guid FOREIGN KEY (organization_guid) REFERENCES public.organizations(guid);


--
-- Name: packages fk_packages_app_guid; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.packages
    ADD CONSTRAINT fk_packages_app_guid FOREIGN KEY (app_guid) REFERENCES public.apps(guid);


--
-- Name: spaces fk_spaces_organization_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT fk_spaces_organization_id FOREIGN KEY (organization_id) REFERENCES public.organizations(id);


--
-- Name: tasks fk_tasks_app_guid; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.tasks
    ADD CONSTRAINT fk_tasks_app_guid FOREIGN KEY (app_guid) REFERENCES public.apps(guid);


--
-- Name: users fk_users_default_space_id; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.users
    ADD CONSTRAINT fk_users_default_space_id FOREIGN KEY (default_space_id) REFERENCES public.spaces(id);


--
-- Name: organizations_users org_users_org_fk; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations_users
    ADD CONSTRAINT org_users_org_fk FOREIGN KEY (organization_id) REFERENCES public.organizations(id);


--
-- Name: organizations_users org_users_user_fk; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations_users
    ADD CONSTRAINT org_users_user_fk FOREIGN KEY (user_id) REFERENCES public.users(id);


--
-- Name: organizations organizations_isolation_segments_pk; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.organizations
    ADD CONSTRAINT organizations_isolation_segments_pk FOREIGN KEY (guid, default_isolation_segment_guid) REFERENCES public.organizations_isolation_segments(organization_guid, isolation_segment_guid);


--
-- Name: spaces_developers space_developers_space_fk; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces_developers
    ADD CONSTRAINT space_developers_space_fk FOREIGN KEY (space_id) REFERENCES public.spaces(id);


--
-- Name: spaces_developers space_developers_user_fk; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces_developers
    ADD CONSTRAINT space_developers_user_fk FOREIGN KEY (user_id) REFERENCES public.users(id);


--
-- Name: spaces spaces_isolation_segment_guid_fkey; Type: FK CONSTRAINT; Schema: public; Owner: -
--

ALTER TABLE ONLY public.spaces
    ADD CONSTRAINT spaces_isolation_segment_guid_fkey FOREIGN KEY (isolation_segment_guid) REFERENCES public.isolation_segments(guid);


--
-- PostgreSQL database dump complete
--

\unrestrict OkDCqudZZmulycVq3dICDfI5EFfr5HMxY3xysuo0LpbsM8cMa0pXVLhYGMb4FRB

