//! Many short texts in one: an allocation for all of them, and a search that reads them in one go.

/// Between two words. No name of a node and no owner has it.
const END: char = '\n';

/// Words, each with a number from 0 on. A word takes its octets, one more, and four for where it ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    text: String,
    ends: Vec<u32>,
}

impl Words {
    /// Adds a word; its number.
    pub(super) fn push(&mut self, word: &str) -> u32 {
        let number = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        self.text.extend(word.chars().map(|letter| if letter == END { ' ' } else { letter }));
        self.text.push(END);
        self.ends.push(u32::try_from(self.text.len()).unwrap_or(u32::MAX));
        number
    }

    /// The word with this number; empty if there is none.
    pub(super) fn word(&self, number: u32) -> &str {
        let number = number as usize;
        let Some(end) = self.ends.get(number) else { return "" };
        let start = number.checked_sub(1).map_or(0, |former| self.ends[former]);
        self.text.get(start as usize..*end as usize - END.len_utf8()).unwrap_or_default()
    }

    /// Which words have `needle` in them, whatever the case of its ASCII letters: one answer for each word.
    pub(super) fn containing(&self, needle: &str) -> Vec<bool> {
        let mut found = vec![false; self.ends.len()];
        let needle = needle.to_ascii_lowercase();
        if needle.is_empty() || needle.contains(END) {
            return found;
        }
        // A copy for the time of the search is much less than one for good.
        let text = self.text.to_ascii_lowercase();
        let mut number = 0;
        for (at, _) in text.match_indices(&needle) {
            while self.ends.get(number).is_some_and(|end| *end as usize <= at) {
                number += 1;
            }
            if let Some(word) = found.get_mut(number) {
                *word = true;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_by_any_part_of_it_and_by_nothing_of_its_neighbours() {
        let mut words = Words::default();
        for word in ["berlin-1", "", "Berlin-2", "lund\n", "ärlig"] {
            words.push(word);
        }
        let found = |needle| -> Vec<usize> {
            let found = words.containing(needle);
            found.iter().enumerate().filter(|(_, found)| **found).map(|(number, _)| number).collect()
        };
        assert_eq!(found("BERLIN"), [0, 2]);
        assert_eq!(found("1"), [0]);
        assert_eq!(found("n"), [0, 2, 3]);
        assert_eq!(found("är"), [4]);
        assert!(found("2lund").is_empty());
        assert!(found("\n").is_empty());
        assert!(found("").is_empty());
        assert_eq!(
            [0, 1, 2, 3, 5].map(|number| words.word(number)),
            ["berlin-1", "", "Berlin-2", "lund ", ""]
        );
    }
}
