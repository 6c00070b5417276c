//! A decayed mean with a prior, exact whatever the order its observations arrive in.
//!
//! ```text
//! value(as_of) = 100 * (k * m0 + sum(w_i(as_of) * v_i)) / (k + sum(w_i(as_of)))
//! w_i(as_of)   = weight_i * 2^(-(as_of - t_i) / half_life)
//! ```
//!
//! **Why the order does not matter.** Decaying a running sum at each arrival rounds at each arrival, so another order
//! gives other bits. Here each observation is *grown* once, to the fixed-point integer `weight_i * 2^((t_i - epoch) /
//! half_life)`, and the sums of those integers are exact. Decay happens once, at read, as a common factor.
//!
//! **Why nothing overflows.** The exponent would pass any integer within decades, so time is cut into *eras* of 32
//! half-lives: an observation is grown from the start of its own era, sums are kept per era, and a read shifts the sums
//! of older eras down by 32 bits an era. With a half-life of 180 days an era lasts 15.8 years.
//!
//! **What is summed.** Beside the weight `w_i`, not `w_i * v_i` but the *pull* `w_i * (v_i - m0)`, since
//! `value = 100 * m0 + 100 * sum(pull) / (k + sum(w))`. Each observation's share of the value is then its own pull over
//! the common divisor, so an explanation line is one term of the very sum that makes the value, and the lines add up to
//! it without a line that makes it true.

mod decay;
mod division;
mod exp2;
mod explain;
mod fold;
mod quantity;

pub use decay::HalfLife;
pub use explain::{Explanation, Line, Others};
pub use fold::{DecayedMean, Observation, Overflow, Reading, Sign, Sum, Sums, Term};
pub use quantity::{MICROS, Share, Weight};

#[cfg(test)]
mod laws;
