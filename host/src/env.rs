//! The program's environment variables, each under OpenBao's name and under Vault's.

/// The value of `BAO_<name>`, else of `VAULT_<name>`; an empty value counts as none.
pub(crate) fn either(name: &str) -> Option<String> {
    ["BAO", "VAULT"]
        .iter()
        .filter_map(|prefix| std::env::var(format!("{prefix}_{name}")).ok())
        .find(|value| !value.is_empty())
}
