//! Randomness, and passwords made of it.

use aws_lc_rs::rand;

/// Fills `bytes` with randomness fit for keys.
pub(super) fn fill_random(bytes: &mut [u8]) {
    rand::fill(bytes).expect("the generator is seeded by the kernel at its first use");
}

/// Characters in a password.
const LENGTH: usize = 20;

/// The classes of which a password has at least one character each: OpenBao's default policy.
const CLASSES: [&[u8]; 4] = [
    b"abcdefghijklmnopqrstuvwxyz",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    b"0123456789",
    b"-",
];

/// A password by the default policy: every one that has all classes is equally likely.
pub(super) fn generate() -> String {
    loop {
        let candidate = random_characters();
        if CLASSES.iter().all(|class| has_any(&candidate, class)) {
            return candidate.into_iter().map(char::from).collect();
        }
    }
}

fn random_characters() -> Vec<u8> {
    let alphabet = CLASSES.concat();
    // The largest multiple of the alphabet's size in a byte: what lies above it would favour the first characters.
    let fair = 256 - 256 % alphabet.len();
    let mut characters = Vec::with_capacity(LENGTH);
    while characters.len() < LENGTH {
        let mut bytes = [0; 2 * LENGTH];
        fill_random(&mut bytes);
        let picks = bytes.map(usize::from).into_iter().filter(|b| *b < fair);
        let room = LENGTH - characters.len();
        characters.extend(picks.map(|b| alphabet[b % alphabet.len()]).take(room));
    }
    characters
}

fn has_any(text: &[u8], class: &[u8]) -> bool {
    text.iter().any(|character| class.contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_has_twenty_characters_and_every_class() {
        let passwords: Vec<_> = (0..200).map(|_| generate()).collect();
        for password in &passwords {
            assert_eq!(password.len(), LENGTH);
            for class in CLASSES {
                assert!(has_any(password.as_bytes(), class), "{password}");
            }
        }
        let distinct: std::collections::BTreeSet<_> = passwords.iter().collect();
        assert_eq!(distinct.len(), passwords.len());
    }
}
