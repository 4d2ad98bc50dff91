//! Irreducible polynomials over GF(2), which decide where a repository cuts files.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Malformed;

/// An irreducible polynomial of degree 53 over GF(2). Bit `i` is the coefficient of `x^i`.
///
/// restic takes 53 because it is the largest prime that leaves a byte of room in 64 bits with some to spare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Polynomial(u64);

impl Polynomial {
    /// The degree of all polynomials here.
    pub const DEGREE: u32 = 53;

    /// A polynomial drawn at random.
    pub fn random() -> Self {
        loop {
            // About one in 27 with these two bits set is irreducible.
            let bits = rand::random::<u64>() >> (63 - Self::DEGREE) | 1 << Self::DEGREE | 1;
            if let Some(polynomial) = Self::new(bits) {
                return polynomial;
            }
        }
    }

    /// The polynomial with these coefficients, if it has degree 53 and is irreducible.
    pub fn new(bits: u64) -> Option<Self> {
        let polynomial = Self(bits);
        // Degree 53 is prime, so all but the linear factors show in x^(2^53) ≠ x, and those are 0 and 1 as roots.
        let has_root = bits & 1 == 0 || bits.count_ones().is_multiple_of(2);
        if bits >> Self::DEGREE != 1 || has_root {
            return None;
        }
        let x = 2;
        let power = (0..Self::DEGREE).fold(x, |power, _| polynomial.multiply(power, power));
        (power == x).then_some(polynomial)
    }

    /// `a · b` modulo this polynomial; both have lower degree.
    fn multiply(self, a: u64, b: u64) -> u64 {
        (0..Self::DEGREE).rev().fold(0, |sum, bit| {
            let sum = self.times_x(sum);
            if b >> bit & 1 == 1 { sum ^ a } else { sum }
        })
    }

    /// `a · x` modulo this polynomial; `a` has lower degree.
    pub fn times_x(self, a: u64) -> u64 {
        let product = a << 1;
        if product >> Self::DEGREE == 0 {
            product
        } else {
            product ^ self.0
        }
    }
}

impl Serialize for Polynomial {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{:x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Polynomial {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| {
                Malformed("the chunking polynomial is not irreducible of degree 53".into())
            })
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn restic_s_polynomials_are_accepted() {
        for bits in [0x2d_9242_06c1_dc41, 0x3d_a335_8b4d_c173] {
            assert!(Polynomial::new(bits).is_some(), "{bits:x}");
        }
    }

    #[test]
    fn products_are_refused() {
        // (x^26 + x + 1) · (x^27 + x + 1), by long multiplication.
        let product = (0..28)
            .filter(|bit| (1_u64 << 27 | 3) >> bit & 1 == 1)
            .fold(0, |sum, bit| sum ^ (1_u64 << 26 | 3) << bit);
        assert_eq!(product >> 53, 1);
        for bits in [product, 0, 1, 1 << 53 | 1, 1 << 53, u64::MAX] {
            assert!(Polynomial::new(bits).is_none(), "{bits:x}");
        }
    }

    #[test]
    fn drawn_polynomials_survive_their_json() {
        let polynomial = Polynomial::random();
        let json = serde_json::to_string(&polynomial).unwrap();
        assert_eq!(
            serde_json::from_str::<Polynomial>(&json).unwrap(),
            polynomial
        );
        assert!(serde_json::from_str::<Polynomial>("\"zz\"").is_err());
    }
}
