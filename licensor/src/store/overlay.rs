//! What readers see while a group of batches is on its way to the disk: the values from before.

use std::collections::BTreeMap;

use super::Pairs;

/// Former values of the keys that are being changed; `None` stands for a key that was absent.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    former: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl Overlay {
    /// Shows `former` in place of what is stored, from now on.
    pub(super) fn show(&mut self, former: BTreeMap<Vec<u8>, Option<Vec<u8>>>) {
        self.former = former;
    }

    /// Shows what is stored, from now on.
    pub(super) fn clear(&mut self) {
        self.former.clear();
    }

    /// The former value of a key that is being changed.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Option<Vec<u8>>> {
        if self.former.is_empty() { None } else { self.former.get(key) }
    }

    /// Merges `stored` (in the order of keys, from `from` on) with the former values under `prefix`, up to `limit`.
    pub(super) fn merge<E>(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
        stored: impl Iterator<Item = Result<(Vec<u8>, Vec<u8>), E>>,
    ) -> Result<Pairs, E> {
        let mut former = self
            .former
            .range(from.max(prefix).to_vec()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(key, value)| Some((key, value.as_ref()?)))
            .peekable();
        let mut merged = Pairs::new();
        for pair in stored {
            let (key, value) = pair?;
            while merged.len() < limit
                && let Some((key, value)) = former.next_if(|(former, _)| **former <= key)
            {
                merged.push((key.clone(), value.clone()));
            }
            if merged.len() >= limit {
                return Ok(merged);
            }
            if !self.former.contains_key(&key) {
                merged.push((key, value));
            }
        }
        let left = limit - merged.len();
        merged.extend(former.take(left).map(|(key, value)| (key.clone(), value.clone())));
        Ok(merged)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn pairs(text: &[(&str, &str)]) -> Pairs {
        text.iter().map(|(key, value)| (key.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
    }

    fn merge(stored: &[(&str, &str)], former: &[(&str, Option<&str>)], from: &str, limit: usize) -> Pairs {
        let mut overlay = Overlay::default();
        overlay.show(
            former.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.map(|v| v.as_bytes().to_vec()))).collect(),
        );
        let stored = pairs(stored).into_iter().map(Ok::<_, Infallible>);
        overlay.merge(b"k", from.as_bytes(), limit, stored).unwrap()
    }

    #[test]
    fn readers_see_the_values_from_before() {
        let stored = [("k1", "new"), ("k2", "same"), ("k4", "added")];
        let former =
            [("k1", Some("old")), ("k3", Some("deleted")), ("k4", None), ("x", Some("other prefix"))];
        assert_eq!(
            merge(&stored, &former, "k", 9),
            pairs(&[("k1", "old"), ("k2", "same"), ("k3", "deleted")])
        );
        assert_eq!(merge(&stored, &former, "k2", 9), pairs(&[("k2", "same"), ("k3", "deleted")]));
        assert_eq!(merge(&stored, &former, "k", 2), pairs(&[("k1", "old"), ("k2", "same")]));
        assert_eq!(merge(&[], &former, "k", 1), pairs(&[("k1", "old")]));
        assert_eq!(merge(&stored, &[], "k", 2), pairs(&[("k1", "new"), ("k2", "same")]));
    }
}
