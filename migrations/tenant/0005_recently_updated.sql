-- Type-wide searches without a patient page by the time of the last change.
CREATE INDEX observation_last_updated ON observation (last_updated DESC, id);
CREATE INDEX patient_last_updated ON patient (last_updated DESC, id);
