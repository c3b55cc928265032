//! What readers see while a group of batches is on its way to the disk: the values from before.

use std::collections::BTreeMap;

use sled::IVec;

use super::Pairs;

/// Keys with the values that they had; `None` stands for a key that was absent.
pub(super) type Former = BTreeMap<IVec, Option<IVec>>;

/// Former values of the keys that are being changed.
#[derive(Debug, Default)]
pub(super) struct Overlay {
    former: Former,
}

impl Overlay {
    /// Shows `former` in place of what is stored, from now on.
    pub(super) fn show(&mut self, former: Former) {
        self.former = former;
    }

    /// Shows what is stored, from now on.
    pub(super) fn clear(&mut self) {
        self.former.clear();
    }

    /// The former value of a key that is being changed.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Option<IVec>> {
        if self.former.is_empty() { None } else { self.former.get(key) }
    }

    /// Merges `stored` (in the order of keys, from `from` on) with the former values under `prefix`, up to `limit`.
    pub(super) fn merge<E>(
        &self,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
        stored: impl Iterator<Item = Result<(IVec, IVec), E>>,
    ) -> Result<Pairs, E> {
        let mut former = self
            .former
            .range(IVec::from(from.max(prefix))..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter_map(|(key, value)| Some((key, value.as_ref()?)))
            .peekable();
        let mut merged = Pairs::new();
        for pair in stored {
            let (key, value) = pair?;
            while merged.len() < limit
                && let Some((key, value)) = former.next_if(|(former, _)| **former <= key)
            {
                merged.push((key.to_vec(), value.to_vec()));
            }
            if merged.len() >= limit {
                return Ok(merged);
            }
            if !self.former.contains_key(&key) {
                merged.push((key.to_vec(), value.to_vec()));
            }
        }
        let left = limit - merged.len();
        merged.extend(former.take(left).map(|(key, value)| (key.to_vec(), value.to_vec())));
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
        overlay.show(former.iter().map(|(k, v)| (IVec::from(*k), v.map(IVec::from))).collect());
        let stored = stored.iter().map(|(k, v)| Ok::<_, Infallible>((IVec::from(*k), IVec::from(*v))));
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
