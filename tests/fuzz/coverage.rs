//! What an input reaches: the counters that `-C instrument-coverage` puts into the program, read in place.
//!
//! Built without that flag, or without `--cfg coverage`, nothing is known, and inputs are made blindly.

/// So many counters are compared with zero at once, by the C library: code of this program counts as it looks at them, and
/// to look at each took longer than most inputs.
const AT_ONCE: usize = 16;
const NONE: [u64; AT_ONCE] = [0; AT_ONCE];

/// How often each place has been passed so far, in steps of powers of two.
pub struct Coverage {
    /// One byte a counter: a bit for each magnitude that was seen.
    seen: Vec<u8>,
}

impl Coverage {
    /// Nothing has been seen yet.
    pub fn new() -> Coverage {
        Coverage { seen: vec![0; counters().len()] }
    }

    /// What ran until now does not count: the making of inputs passes many places too.
    pub fn begin(&self) {
        counters().fill(0);
    }

    /// The places that were passed since [`begin`](Coverage::begin), in order.
    pub fn passed(&self) -> Vec<usize> {
        passed().map(|(place, _)| place).collect()
    }

    /// Whether what ran since [`begin`](Coverage::begin) has come to a place, or so often to it as never before.
    pub fn is_new(&mut self) -> bool {
        let mut new = false;
        for (place, count) in passed() {
            let magnitude = 1 << count.ilog2().min(7);
            new |= self.seen[place] & magnitude == 0;
            self.seen[place] |= magnitude;
        }
        new
    }

    /// How many places there are, and how many were reached.
    pub fn extent(&self) -> (usize, usize) {
        (self.seen.len(), self.seen.iter().filter(|seen| **seen != 0).count())
    }
}

/// The places that were passed, and how often.
fn passed() -> impl Iterator<Item = (usize, u64)> {
    let pieces = counters().chunks(AT_ONCE).enumerate().filter(|(_, piece)| **piece != NONE[..piece.len()]);
    let counts = pieces.flat_map(|(n, piece)| (n * AT_ONCE..).zip(piece.iter().copied()));
    counts.filter(|(_, count)| *count != 0)
}

#[cfg(coverage)]
#[allow(unsafe_code, reason = "the counters are the linker's, and have no other name")]
fn counters() -> &'static mut [u64] {
    // Of LLVM's runtime for profiles, which the flag links.
    unsafe extern "C" {
        safe fn __llvm_profile_begin_counters() -> *mut u64;
        safe fn __llvm_profile_end_counters() -> *mut u64;
    }
    let (first, end) = (__llvm_profile_begin_counters(), __llvm_profile_end_counters());
    let count = (end.addr() - first.addr()) / size_of::<u64>();
    // SAFETY: both are of one section, whose counters live as long as the program. Other threads of the test count too,
    // and a count that is lost does no harm; this thread alone reads them, one slice at a time.
    unsafe { std::slice::from_raw_parts_mut(first, count) }
}

#[cfg(not(coverage))]
fn counters() -> &'static mut [u64] {
    &mut []
}
