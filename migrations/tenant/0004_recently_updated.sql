-- Type-wide searches without a patient, and histories of a type, page by the time of the last change.
CREATE INDEX observation_last_updated ON observation (last_updated DESC, id);
CREATE INDEX patient_last_updated ON patient (last_updated DESC, id);
CREATE INDEX observation_history_last_updated ON observation_history (last_updated DESC, id);
CREATE INDEX patient_history_last_updated ON patient_history (last_updated DESC, id);
-- The orders that lists of patients are asked for in.
CREATE INDEX patient_family ON patient (family DESC, id);
CREATE INDEX patient_birth ON patient (birth_low DESC, id);
