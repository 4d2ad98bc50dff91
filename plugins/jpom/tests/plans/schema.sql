CREATE TABLE CLUSTER_INFO(id varchar(50) not null primary key comment 'id', createTimeMillis bigint, modifyTimeMillis bigint, modifyUser varchar(50), createUser varchar(50), name varchar(50) not null, clusterId varchar(50) not null, url varchar(255), linkGroup varchar(500), lastHeartbeat bigint, localHostName varchar(255), jpomVersion varchar(255), statusMsg text);
CREATE TABLE WORKSPACE(id varchar(50) not null primary key, createTimeMillis bigint, modifyTimeMillis bigint, modifyUser varchar(50), name varchar(50), description varchar(255), `group` varchar(50), clusterInfoId varchar(50));
CREATE TABLE SYSTEM_PARAMETERS(id varchar(100) primary key, "VALUE" clob, description varchar(255));
CREATE TABLE BACKUP_INFO(id varchar(50) not null primary key, createTimeMillis bigint, modifyTimeMillis bigint, name varchar(50), filePath varchar(200), backupType int, fileSize bigint, sha1Sum varchar(50), status int, baleTimeStamp bigint, version varchar(255), modifyUser varchar(50));
INSERT INTO CLUSTER_INFO(id, name, clusterId, url, linkGroup, lastHeartbeat) VALUES
  ('91c653b3e17c4021b486416e33d014c8', '默认集群', 'default', 'http://old:2122', 'default', 1735689599000),
  ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 'abandoned', 'default', NULL, NULL, 1703300000000),
  ('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb', 'bound', 'second', NULL, NULL, 1703300000000),
  ('cccccccccccccccccccccccccccccccc', 'online', 'third', NULL, NULL, 1735689590000),
  ('dddddddddddddddddddddddddddddddd', 'never seen', 'fourth', NULL, NULL, NULL);
INSERT INTO WORKSPACE(id, name, clusterInfoId) VALUES ('DEFAULT', '默认', '91c653b3e17c4021b486416e33d014c8'), ('w2', 'x', 'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'), ('w3', 'unbound', NULL);
INSERT INTO SYSTEM_PARAMETERS VALUES('k', '{"a":"it''s; x"}', 'd'), ('big', REPEAT('x', 40000), 'lob');
INSERT INTO BACKUP_INFO(id, filePath) VALUES ('1', '/old/db/backup/x/db/backup/20231224000000.sql'), ('2', '/elsewhere/mine.sql');
