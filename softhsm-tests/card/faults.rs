//! What a card may do wrong.

/// One fault, from the time when it is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is pulled out when it gets its n-th APDU from here, which stays unanswered.
    PulledAt(usize),
    /// The answer to this instruction has this in place of its bytes before the status word.
    Answers(u8, &'static [u8]),
    /// This instruction is answered with this status word alone.
    Status(u8, u16),
    /// The answer to this instruction is cut to so many bytes, status word and all.
    CutTo(u8, usize),
    /// The answer to VALIDATE is not the card's.
    ForgesValidation,
    /// The MAC of CALCULATE has one bit turned.
    TurnsABit,
    /// A command of this instruction that brings data is done, and answered as if it had named a wrong length.
    WantsLength(u8),
    /// It says that more is to come, for ever.
    NeverEnds(u8),
}
