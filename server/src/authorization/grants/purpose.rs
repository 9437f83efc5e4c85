//! Purposes of use (<https://terminology.hl7.org/CodeSystem-v3-ActReason.html>, value set `PurposeOfUse`).

/// The codes, by what they come under.
const CODES: [&[&str]; 7] = [
    &["HMARKT"],
    &[
        "HOPERAT",
        "CAREMGT",
        "DONAT",
        "FRAUD",
        "GOV",
        "HACCRED",
        "HCOMPL",
        "HDECD",
        "HDIRECT",
        "HDM",
        "HLEGAL",
        "HOUTCOMS",
        "HPRGRP",
        "HQUALIMP",
        "HSYSADMIN",
        "LABELING",
        "METAMGT",
        "MEMADMIN",
        "MILCDM",
        "PATADMIN",
        "PATSFTY",
        "PERFMSR",
        "RECORDMGT",
        "SYSDEV",
        "HTEST",
        "TRAIN",
    ],
    &["HPAYMT", "CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "MILDCRG", "REMITADV"],
    &["HRESCH", "BIORCH", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH", "DSRCH", "POARCH", "TRANSRCH"],
    &["PATRQT", "FAMRQT", "PWATRNY", "SUPNWK"],
    &["PUBHLTH", "DISASTER", "THREAT"],
    &["TREAT", "CLINTRL", "COC", "ETREAT", "BTG", "ERTREAT", "POPHLTH"],
];

/// Whether this is a code of a purpose, in its own spelling.
pub fn is_purpose(code: &str) -> bool {
    CODES.iter().any(|codes| codes.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_are_codes_to_the_letter() {
        for code in ["HRESCH", "TREAT", "HPAYMT", "HOPERAT", "PUBHLTH", "BTG"] {
            assert!(is_purpose(code), "{code}");
        }
        for text in ["", "hresch", "HRESCH ", "RESEARCH", "v3|HRESCH"] {
            assert!(!is_purpose(text), "{text}");
        }
    }
}
