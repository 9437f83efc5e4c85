-- The newest of one vital of all patients, which dashboards and research ask for, and the few Observations that name several
-- vitals, which every search by the code of one looks through as well. 28 bytes an Observation; with the id, which rows of one
-- moment are sorted by as they are read, it were three times that.
CREATE INDEX observation_code_date ON observation (code1, eff_low);
