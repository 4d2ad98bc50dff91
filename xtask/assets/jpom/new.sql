-- A server that was started once after its installation, and stopped.
INSERT INTO CLUSTER_INFO(id, name, clusterId, lastHeartbeat, localHostName, jpomVersion) VALUES('5f0e4c2d9b8a47c6a1d3e2f4b5c6d7e8', '默认集群', 'default', 1735000000000, 'new', '2.11.12');
INSERT INTO WORKSPACE(id, name, clusterInfoId) VALUES('DEFAULT', '默认', '5f0e4c2d9b8a47c6a1d3e2f4b5c6d7e8');
