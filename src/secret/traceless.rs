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

#[cfg(target_arch = "x86_64")]
fn clear_registers() {
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
fn clear_registers() {
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
fn clear_registers() {}
