//! Weights and shares as integers of millionths.

/// Millionths in one.
pub const MICROS: u32 = 1_000_000;

/// How much a fresh observation counts, in millionths: 0 to 16. The bound keeps a grown weight within 92 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Weight(u32);

impl Weight {
    /// The greatest weight.
    pub const MAX: Weight = Weight(16 * MICROS);

    /// A weight from millionths; what lies above [`Weight::MAX`] becomes it.
    #[must_use]
    pub const fn from_micros(micros: u32) -> Weight {
        if micros > Weight::MAX.0 { Weight::MAX } else { Weight(micros) }
    }

    /// In millionths.
    #[must_use]
    pub const fn micros(self) -> u32 {
        self.0
    }

    /// This weight times `factor`, rounded down, at most [`Weight::MAX`].
    #[must_use]
    pub const fn scaled(self, factor: Share) -> Weight {
        // 24 bits times 20 bits fits in 64; the quotient is no greater than `self`.
        #[allow(clippy::cast_possible_truncation)]
        let micros = (self.0 as u64 * factor.0 as u64 / MICROS as u64) as u32;
        Weight(micros)
    }
}

/// A share from 0 to 1 (a satisfaction, a factor), in millionths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share(u32);

impl Share {
    /// Nothing.
    pub const ZERO: Share = Share(0);
    /// The whole.
    pub const ONE: Share = Share(MICROS);

    /// A share from millionths; what lies above one becomes one.
    #[must_use]
    pub const fn from_micros(micros: u32) -> Share {
        if micros > MICROS { Share::ONE } else { Share(micros) }
    }

    /// The share that a valence from -1 to 1 (in millionths; clamped) stands for: (valence + 1) / 2, halves rounded up.
    #[must_use]
    pub const fn from_valence_micros(valence: i32) -> Share {
        let bound = MICROS as i32;
        let valence = if valence < -bound {
            -bound
        } else if valence > bound {
            bound
        } else {
            valence
        };
        Share(((valence + bound + 1) / 2) as u32)
    }

    /// In millionths.
    #[must_use]
    pub const fn micros(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_valence_maps_to_its_share() {
        let shares = [-2_000_000, -1_000_000, -500_000, 0, 1, 1_000_000, i32::MAX]
            .map(|valence| Share::from_valence_micros(valence).micros());
        assert_eq!(shares, [0, 0, 250_000, 500_000, 500_001, 1_000_000, 1_000_000]);
    }

    #[test]
    fn quantities_stay_in_their_bounds() {
        assert_eq!(Weight::from_micros(u32::MAX), Weight::MAX);
        assert_eq!(Share::from_micros(u32::MAX), Share::ONE);
        assert_eq!(Weight::MAX.scaled(Share::ONE), Weight::MAX);
        assert_eq!(Weight::from_micros(3).scaled(Share::from_micros(500_000)).micros(), 1);
    }
}
