//! Work that leaves nothing of a secret on the stack or in the processor's wide registers.
//!
//! Hashing and decoding keep parts of what they work on in local variables, and moving a value leaves the old one where
//! it was: no destructor reaches that. So the stack below is overwritten when the work is done. The wide registers are
//! cleared because the dynamic linker writes them all to the stack when a library's function is called for the first time.
#![allow(unsafe_code)]

use std::arch::asm;

/// How much of the stack is overwritten, in bytes: more than what is called in here uses.
const DEPTH: usize = 64 << 10;

/// Does the work, and overwrites what it left on the stack and in registers, also when it panics. What it answers must
/// not hold a secret's bytes itself, but as [`Secret`](super::Secret).
pub fn traceless<T>(work: impl FnOnce() -> T) -> T {
    struct Wipe;
    impl Drop for Wipe {
        fn drop(&mut self) {
            overwrite_stack();
            clear_registers();
        }
    }
    let _wipe = Wipe;
    below(work)
}

/// A frame of its own, so that all the work lies below the caller's.
#[inline(never)]
fn below<T>(work: impl FnOnce() -> T) -> T {
    work()
}

#[inline(never)]
fn overwrite_stack() {
    let zeros = [0_u64; DEPTH / 8];
    // SAFETY: no instruction. The compiler has to take it that the zeros are read, so it writes them.
    unsafe { asm!("/* {} */", in(reg) &raw const zeros, options(readonly, nostack, preserves_flags)) };
}

/// Clears the wide registers, in which what computed last may have left parts of a key.
#[cfg(target_arch = "x86_64")]
pub(crate) fn clear_registers() {
    if is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has the instructions, and the compiler is told what they overwrite.
        unsafe {
            asm!(
                ".irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
                "vpxord zmm\\n, zmm\\n, zmm\\n",
                ".endr",
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags)
            );
        }
    }
    if is_x86_feature_detected!("avx") {
        // SAFETY: as above.
        unsafe {
            asm!(
                "vzeroall",
                clobber_abi("C"),
                options(nomem, nostack, preserves_flags)
            )
        };
        return;
    }
    // SAFETY: every processor of this architecture has the instructions.
    unsafe {
        asm!(
            ".irp n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15",
            "pxor xmm\\n, xmm\\n",
            ".endr",
            clobber_abi("C"),
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[cfg(target_arch = "aarch64")]
pub(crate) fn clear_registers() {
    // SAFETY: every processor of this architecture has the registers. Those that a function keeps for its caller, v8 to
    // v15, are not touched.
    unsafe {
        asm!(
            ".irp n, 0,1,2,3,4,5,6,7,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31",
            "movi v\\n\\().2d, #0",
            ".endr",
            clobber_abi("C"),
            options(nomem, nostack, preserves_flags)
        );
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) fn clear_registers() {}

#[cfg(test)]
mod tests {
    use std::{fs::File, hint::black_box, os::unix::fs::FileExt as _, panic};

    use super::*;

    const MARK: usize = 16;

    /// Leaves copies of the mark on the stack, far below the caller.
    #[inline(never)]
    fn leave(mark: &[u8; MARK]) {
        black_box([*mark; DEPTH / 2 / MARK]);
    }

    /// Whether the mark lies in what this thread's stack held before, as deep as is overwritten.
    fn is_left(mark: &[u8; MARK]) -> bool {
        let here = 0_u8;
        let end = (&raw const here).addr();
        let mut stack = vec![0; DEPTH / 2];
        let memory = File::open("/proc/self/mem").unwrap();
        memory
            .read_exact_at(&mut stack, (end - DEPTH / 2 - 4096) as u64)
            .unwrap();
        stack.windows(MARK).any(|window| window == mark)
    }

    fn mark() -> Box<[u8; MARK]> {
        let mut mark = Box::new([0; MARK]);
        getrandom::fill(&mut mark[..]).unwrap();
        mark
    }

    #[test]
    fn what_work_leaves_on_the_stack_is_overwritten() {
        let mark = mark();
        leave(&mark);
        assert!(is_left(&mark), "the search finds what is there");
        traceless(|| leave(&mark));
        assert!(!is_left(&mark));
    }

    #[test]
    fn also_where_it_panics() {
        let mark = mark();
        let work = || {
            leave(&mark);
            panic::resume_unwind(Box::new("in the middle"));
        };
        assert!(panic::catch_unwind(work).is_err());
        assert!(is_left(&mark), "the search finds what is there");
        let ended = panic::catch_unwind(|| traceless(work));
        assert!(ended.is_err() && !is_left(&mark));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_wide_registers_are_cleared() {
        #[inline(never)]
        fn put(mark: &[u8; MARK]) {
            // SAFETY: reads the mark into registers that it says it overwrites.
            unsafe {
                asm!(
                    "movdqu xmm7, [{0}]",
                    "movdqa xmm15, xmm7",
                    in(reg) mark,
                    out("xmm7") _,
                    out("xmm15") _,
                    options(readonly, nostack)
                );
            }
        }
        #[inline(never)]
        fn held() -> [[u8; MARK]; 2] {
            let mut held = [[0; MARK]; 2];
            // SAFETY: writes two registers into the room for two.
            unsafe {
                asm!(
                    "movdqu [{0}], xmm7",
                    "movdqu [{0} + 16], xmm15",
                    in(reg) &raw mut held,
                    options(nostack)
                );
            }
            held
        }
        let mark = mark();
        put(&mark);
        assert_eq!(held(), [*mark; 2], "the search finds what is there");
        traceless(|| put(&mark));
        assert!(!held().contains(&mark));
    }

    #[test]
    fn it_answers_what_the_work_answers() {
        assert_eq!(traceless(|| Some("done".to_owned())).as_deref(), Some("done"));
    }
}
