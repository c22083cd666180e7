//! How a card answers where the protocol leaves it open, so that nothing hangs on how this one would: another's card, written
//! from the same pages, may do it otherwise.

/// A card's manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// A command without data must name the length of its answer (ISO 7816-3, case 2).
    pub strict: bool,
    /// A command without data is answered with 6Cxx first, until it names the very length.
    pub exact: bool,
    /// No data comes with the command: all of it is fetched, as by T=0.
    pub fetched: bool,
    /// The rest of an answer is given by GET RESPONSE alone, and the applet's own instruction is unknown.
    pub by_get_response: bool,
    /// What SELECT tells comes the other way round, with tags that nobody knows and a version of four bytes.
    pub reversed: bool,
    /// The status word for a response to the challenge that is wrong.
    pub wrong_code: u16,
    /// That for a touch that did not come.
    pub no_touch: u16,
    /// That for a credential that is not there.
    pub none: u16,
    /// A challenge is good for one VALIDATE, even where that failed.
    pub fresh_challenges: bool,
    /// The PIV applet does not know GET METADATA.
    pub no_metadata: bool,
    /// The applets whose id is known only whole; else the beginning is enough.
    pub whole_ids: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            strict: false,
            exact: false,
            fetched: false,
            by_get_response: false,
            reversed: false,
            wrong_code: 0x6a80,
            no_touch: 0x6982,
            none: 0x6984,
            fresh_challenges: false,
            no_metadata: false,
            whole_ids: false,
        }
    }
}
