//! Lists the direct children of a prefix over anything that can iterate its keys in order from a place.

use std::ops::Bound;

use super::StoreError;

/// Which page of which listing.
#[derive(Clone, Copy)]
pub(crate) struct PageOf<'a> {
    pub(crate) prefix: &'a str,
    pub(crate) after: &'a str,
    pub(crate) limit: usize,
}

/// The names on a page. `open` starts an iteration over all keys from a bound; after a folder's first key it is opened
/// anew behind the folder's last one, so that what lies beneath is not walked.
pub(crate) fn list<I>(
    page: PageOf<'_>,
    mut open: impl FnMut(Bound<&str>) -> Result<I, StoreError>,
) -> Result<Vec<String>, StoreError>
where
    I: Iterator<Item = Result<String, StoreError>>,
{
    let mut names = Vec::new();
    if page.limit == 0 {
        return Ok(names);
    }
    let start = format!("{}{}", page.prefix, page.after);
    let mut keys = open(Bound::Excluded(&start))?;
    while let Some(key) = keys.next().transpose()? {
        let Some(rest) = key.strip_prefix(page.prefix) else {
            break;
        };
        let name = child_name(rest);
        if name.ends_with('/') {
            keys = open(Bound::Included(&behind_folder(page.prefix, name)))?;
        }
        if name > page.after {
            names.push(name.to_owned());
        }
        if names.len() == page.limit {
            break;
        }
    }
    Ok(names)
}

/// The direct child that a key, relative to the listed prefix, belongs to: itself, or the folder it is in.
pub(crate) fn child_name(relative: &str) -> &str {
    match relative.find('/') {
        Some(slash) => &relative[..=slash],
        None => relative,
    }
}

/// The first key that sorts behind everything in the folder: `0` follows `/`.
fn behind_folder(prefix: &str, folder: &str) -> String {
    format!("{prefix}{}0", &folder[..folder.len() - 1])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::BTreeSet;

    fn pages_of(keys: &BTreeSet<String>, page: PageOf<'_>) -> (Vec<String>, usize) {
        let visited = Cell::new(0);
        let names = list(page, |from| {
            let range = keys.range::<str, _>((from, Bound::Unbounded));
            Ok(range.map(|key| {
                visited.set(visited.get() + 1);
                Ok(key.clone())
            }))
        })
        .unwrap();
        (names, visited.get())
    }

    #[test]
    fn a_folder_is_passed_in_one_step_however_full_it_is() {
        let mut keys: BTreeSet<_> = (0..5000).map(|i| format!("p/full/{i}")).collect();
        keys.extend(["p/a".to_owned(), "p/z".to_owned(), "q".to_owned()]);
        let page = PageOf {
            prefix: "p/",
            after: "",
            limit: usize::MAX,
        };
        let (names, visited) = pages_of(&keys, page);
        assert_eq!(names, ["a", "full/", "z"]);
        assert!(visited <= 4, "{visited} keys were looked at");
    }

    #[test]
    fn a_page_after_a_folder_begins_behind_it() {
        let keys = ["f", "f/1", "f/2", "f0", "g"].map(str::to_owned).into();
        let after = |after| {
            let page = PageOf {
                prefix: "",
                after,
                limit: 2,
            };
            pages_of(&keys, page).0
        };
        assert_eq!(after(""), ["f", "f/"]);
        assert_eq!(after("f/"), ["f0", "g"]);
        assert_eq!(after("f/1"), ["f0", "g"]);
    }
}
