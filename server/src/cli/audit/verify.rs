//! `vitals audit verify`: the records, and the heads that were kept elsewhere.

use std::path::Path;

use vitals_access::witness::WitnessKeys;
use vitals_store::audit::{self, KeptHeads, Verification, Verify};

use super::{Names, chain, names};
use crate::{
    audit::heads,
    cli::{CommandError, Exit, Opened, args::AuditVerifyArgs, print},
};

pub(super) async fn run(opened: &Opened<'_>, args: &AuditVerifyArgs, json: bool) -> Result<Exit, CommandError> {
    let names = names(opened).await?;
    let only = args.tenant.as_ref().map(|tenant| chain(&names, tenant)).transpose()?;
    let witnesses = Witnesses::of(opened, args.heads.as_deref())?;
    let result = witnesses.verify(opened, only, &names).await?;
    if json {
        print::json(&result)?;
    } else {
        print::line(&sentence(&result, witnesses.kept.heads.len())?)?;
    }
    Ok(if result.ok { Exit::Success } else { Exit::Failure })
}

/// What there is to hold against the trail.
pub(super) struct Witnesses {
    keys: Option<WitnessKeys>,
    kept: KeptHeads,
}

impl Witnesses {
    /// Reads the heads: of the folder that was named, or else of the one they are kept in, where there is one. To be
    /// done before the trail is read, which may have grown since.
    pub(super) fn of(opened: &Opened<'_>, named: Option<&Path>) -> Result<Self, CommandError> {
        let keys = opened.master_key_if_there().map(|master_key| heads::witness(&master_key).keys());
        let folder = named.unwrap_or(&opened.settings().audit_heads);
        if named.is_none() && !folder.exists() {
            return Ok(Self { keys, kept: KeptHeads::default() });
        }
        let failed = |error| CommandError::new(format!("cannot read the heads in {}: {error}", folder.display()));
        let keys = if let Some(keys) = keys {
            keys
        } else {
            print::note("without the master key, the signatures of heads are checked with the key beside them");
            heads::keys_beside(folder).map_err(failed)?
        };
        let kept = heads::read_all(folder, &keys).map_err(failed)?;
        if named.is_some() && kept.heads.is_empty() && kept.faults.is_empty() {
            return Err(CommandError::new(format!("there are no heads in {}", folder.display())));
        }
        if kept.broken > 0 {
            print::note(&format!(
                "{} lines of kept heads are none; a process that was killed may leave such",
                kept.broken
            ));
        }
        Ok(Self { keys: Some(keys), kept })
    }

    /// Reads the trail, or one chain of it, and holds them against it.
    pub(super) async fn verify(
        &self,
        opened: &Opened<'_>,
        only: Option<&str>,
        names: &Names,
    ) -> Result<Verification, CommandError> {
        let (heads, head_faults) = (&self.kept.heads[..], &self.kept.faults[..]);
        let what = Verify { only, names, heads, head_faults, keys: self.keys.as_ref() };
        Ok(audit::verify(&opened.urls.audit_read, what).await?)
    }
}

fn sentence(result: &Verification, heads: usize) -> Result<String, CommandError> {
    let Some(bad) = &result.first_bad else {
        let heads = if heads > 0 { format!("{heads} kept heads, ") } else { String::new() };
        let sealed = if result.sealed > 0 { format!("{} sealed records, ", result.sealed) } else { String::new() };
        return Ok(format!("{heads}{sealed}{} records, and every one holds", result.records));
    };
    // The reason's words are those of its JSON form.
    let reason = serde_json::to_value(bad.reason)?;
    Ok(format!(
        "the trail does not hold: record {} of writer {} of {}: {} ({} records read)",
        bad.sequence,
        bad.writer,
        bad.tenant,
        reason.as_str().unwrap_or_default(),
        result.records
    ))
}

#[cfg(test)]
mod tests {
    use vitals_store::audit::{FirstBad, Reason};

    use super::*;

    #[test]
    fn verification_is_told_in_one_sentence() {
        let mut result = Verification { ok: true, records: 7, sealed: 0, first_bad: None, heads: Vec::new() };
        assert_eq!(sentence(&result, 0).unwrap(), "7 records, and every one holds");
        result.sealed = 5;
        assert_eq!(sentence(&result, 2).unwrap(), "2 kept heads, 5 sealed records, 7 records, and every one holds");
        result.ok = false;
        result.first_bad = Some(FirstBad { tenant: "mercy".to_owned(), writer: 5, sequence: 3, reason: Reason::Gap });
        assert_eq!(
            sentence(&result, 2).unwrap(),
            "the trail does not hold: record 3 of writer 5 of mercy: the record is missing (7 records read)"
        );
    }
}
