//! The log beside what is kept of it elsewhere: by tokens, and in the file of the last seal.

use super::{FindToken, Walk};
use crate::{
    audit::{file::list, line::Hash, mark, seal::Last},
    error::Result,
    home::Home,
};

impl Walk {
    /// Compares the log with what a token keeps of it.
    pub(super) fn marked(
        &mut self,
        home: &Home,
        name: &str,
        token: &FindToken<'_>,
        log: Option<&str>,
    ) -> Result<()> {
        let mut kept = mark::kept(&*token(name)?)?;
        let mark = log.and_then(|log| kept.remove(log));
        let others = kept.into_iter();
        self.found
            .other_logs
            .extend(others.map(|(log, mark)| (name.to_owned(), log, mark.seal, mark.upto)));
        self.found
            .kept_by
            .insert(name.to_owned(), mark.as_ref().map(|mark| mark.seal));
        let Some(mark) = mark else { return Ok(()) };
        let (seal, upto) = (mark.seal, mark.upto);
        // What is told already is told once.
        if !mark.back && (!self.found.findings.is_empty() || mark.holds(&list(home)?)?) {
            return Ok(());
        }
        self.file = None;
        self.wrong(
            upto,
            if mark.back {
                format!("token {name} saw the log go back behind seal {seal}, up to this line: an older log was put in its place")
            } else {
                format!("token {name} keeps that seal {seal} was made, up to this line, which is not there as it was then: the log was cut, or is an older one")
            },
        );
        Ok(())
    }

    /// Compares the last seal of the log with the one that was kept beside it before the log was read, and after.
    pub(super) fn kept(&mut self, [first, last]: [Option<Last>; 2]) {
        let (before, latest) = std::mem::take(&mut self.latest);
        let Some(last) = last else {
            if self.number > 0 {
                let what = "the file audit.seal, which keeps the last seal's number, is gone: whether the log was cut behind this cannot be told";
                self.wrong(self.number, what);
            }
            return;
        };
        // What was made since need not have been read.
        let first = first.unwrap_or_else(|| last.clone());
        if first.seal > before {
            return self.wrong(
                self.number + 1,
                format!(
                    "the log ends with seal {before}, and seal {} up to line {} was made: it was cut, or is an older one",
                    first.seal, first.upto
                ),
            );
        }
        let is_other = |kept: &Last| {
            let same = |(upto, head): &(u64, Hash)| {
                *upto == kept.upto && base16ct::lower::encode_string(head) == kept.head
            };
            kept.seal == before && before > 0 && !latest.iter().any(same)
        };
        // A seal's line is written first, and then its number.
        if last.seal + 1 < before || is_other(&last) || is_other(&first) {
            self.wrong(
                self.number,
                format!(
                    "audit.seal has seal {} up to line {}, and the log ends with seal {before}: they are not of one log",
                    last.seal, last.upto
                ),
            );
        }
    }
}
