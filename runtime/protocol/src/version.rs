//! Which version of the application's protocol the two halves speak.

/// The version of logical backends over AutoMTLS, and the only one that Palisade speaks.
pub const BACKEND_PROTOCOL_VERSION: u32 = 5;

/// The versions of old, whose TLS takes a wrapping token. Without one such a plugin only tells what it is, in plain text.
pub const OLD_PROTOCOL_VERSIONS: [u32; 2] = [3, 4];

/// The versions of database plugins: 5 has one database per process, 6 many. The service is the same.
pub const DATABASE_PROTOCOL_VERSIONS: [u32; 2] = [5, 6];

/// The most offers looked at. Real hosts make two.
const OFFERS_MAX: usize = 64;

/// The plugin's choice: its highest version that the host's list names. Where there is none it announces its lowest, and
/// the host, which knows both lists, refuses with a better error than the plugin could give.
///
/// `offered` is the text of `PLUGIN_PROTOCOL_VERSIONS`: numbers between commas, in no particular order. What is no number
/// is skipped.
///
/// # Panics
///
/// When `own` is empty.
pub fn choose(own: &[u32], offered: &str) -> u32 {
    let offers: Vec<u32> = offered
        .split(',')
        .take(OFFERS_MAX)
        .filter_map(|word| word.trim().parse().ok())
        .collect();
    own.iter()
        .copied()
        .filter(|version| offers.contains(version))
        .max()
        .or_else(|| own.iter().copied().min())
        .expect("a plugin speaks at least one version")
}

/// The text of `PLUGIN_PROTOCOL_VERSIONS`.
pub fn offer(versions: &[u32]) -> String {
    let words: Vec<String> = versions.iter().map(u32::to_string).collect();
    words.join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_highest_common_version_wins_whatever_the_order() {
        assert_eq!(choose(&[3, 5], "5,4"), 5);
        assert_eq!(choose(&[3, 5], "3,4"), 3);
        assert_eq!(choose(&[3, 5], "4,3,x"), 3);
        assert_eq!(choose(&[5, 3], "3,5"), 5);
    }

    #[test]
    fn without_a_common_version_the_lowest_is_announced() {
        for offered in ["", "9", "x,y", ",,,", "-5"] {
            assert_eq!(choose(&[3, 5], offered), 3);
        }
    }

    #[test]
    fn an_offer_reads_back() {
        assert_eq!(choose(&[4, 5], &offer(&[5, 4])), 5);
    }

    proptest! {
        #[test]
        fn any_offer_gets_a_version_that_the_plugin_speaks(offered in any::<String>()) {
            prop_assert!([3, 5].contains(&choose(&[3, 5], &offered)));
        }
    }
}
