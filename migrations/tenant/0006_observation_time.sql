-- All patients' Observations by their time. The tenant, which is the same in each row, comes first: only a search that
-- names it can take this index, and a search of one patient, which does not, is never tempted to. Ids of one moment are
-- sorted as they are read.
CREATE INDEX observation_time ON observation (tenant, eff_low);
