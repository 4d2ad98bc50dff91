-- A server in use: its own cluster, one that was abandoned long ago, a workspace, and a backup that knows its absolute path.
INSERT INTO CLUSTER_INFO(id, name, clusterId, url, lastHeartbeat, localHostName, jpomVersion) VALUES('91c653b3e17c4021b486416e33d014c8', '默认集群', 'default', 'http://old.example:2122', 1703390000000, 'old', '2.11.12'), ('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', '默认集群', 'default', NULL, 1703300000000, 'older', '2.11.11');
INSERT INTO WORKSPACE(id, name, clusterInfoId) VALUES('DEFAULT', '默认', '91c653b3e17c4021b486416e33d014c8');
INSERT INTO SYSTEM_PARAMETERS VALUES('k', '{"a":"it''s; x"}', 'd'), ('big', REPEAT('x', 40000), 'lob');
INSERT INTO BACKUP_INFO(id, name, backupType, filePath, fileSize, status) VALUES('1', 'nightly', 0, '/usr/local/jpom-server/data/db/backup/20231224000000.sql', 8, 1);
