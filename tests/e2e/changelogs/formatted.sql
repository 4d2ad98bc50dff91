--liquibase formatted sql
--changeset al:f1 dbms:postgresql,h2 runOnChange:true
select 1;
--  ChangeSet "al b":"f 2" context:"test or x" labels:v1
select 1;
-- changeset al:f3:x logicalFilePath:lfp.sql
select 1;
--changeset al:f4 dbms:oracle
select 1;
--ignoreLines:start
--changeset al:ign
--ignoreLines:end
/* 
*/
select 2;
