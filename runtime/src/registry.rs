//! What several use together, found by its key for as long as one of them has it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// Remembers what is in use, and keeps nothing alive.
pub(crate) struct Registry<K, T>(Mutex<HashMap<K, Weak<T>>>);

impl<K: Eq + Hash, T> Registry<K, T> {
    /// The one of that key, if anybody has it.
    pub(crate) fn get(&self, key: &K) -> Option<Arc<T>> {
        self.known().get(key)?.upgrade()
    }

    /// The one of that key, which is made when nobody has it.
    pub(crate) fn get_or_make(&self, key: K, make: impl FnOnce() -> T) -> Arc<T> {
        let Ok(value) = self.get_or_try_make(key, || Ok::<_, Infallible>(make()));
        value
    }

    /// The same where it may be impossible to make it.
    pub(crate) fn get_or_try_make<E>(
        &self,
        key: K,
        make: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        let mut known = self.known();
        if let Some(value) = known.get(&key).and_then(Weak::upgrade) {
            return Ok(value);
        }
        known.retain(|_, value| value.strong_count() > 0);
        let value = Arc::new(make()?);
        known.insert(key, Arc::downgrade(&value));
        Ok(value)
    }

    /// All that are in use.
    pub(crate) fn in_use(&self) -> Vec<Arc<T>> {
        self.known().values().filter_map(Weak::upgrade).collect()
    }

    fn known(&self) -> MutexGuard<'_, HashMap<K, Weak<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T> Default for Registry<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_use_is_shared_and_what_is_not_is_made_again_and_forgotten() {
        let registry = Registry::default();
        let one = registry.get_or_make("a", || 1);
        assert!(Arc::ptr_eq(&one, &registry.get_or_make("a", || 2)));
        assert_eq!(*registry.get_or_make("b", || 3), 3);
        assert_eq!(registry.in_use(), [Arc::clone(&one)]);
        assert!(registry.get(&"a").is_some() && registry.get(&"b").is_none());
        drop(one);
        assert_eq!(*registry.get_or_make("a", || 4), 4);
        assert_eq!(registry.known().len(), 1);
        assert!(registry.get_or_try_make("c", || Err("no")).is_err());
    }
}
