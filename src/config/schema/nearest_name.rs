//! Suggests the known name that is nearest to a misspelled one.

/// Returns the name with the smallest edit distance to `wrong`. The distance may be at most half the length of `wrong`,
/// or 2 if that is more.
pub(in crate::config) fn nearest_name<'a>(wrong: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let max_distance = (wrong.chars().count() / 2).max(2);
    names
        .map(|name| (edit_distance(wrong, name), name))
        .filter(|(slips, _)| *slips <= max_distance)
        .min()
        .map(|(_, name)| name)
}

/// Counts the letters that are added, omitted, changed, or swapped with their neighbor.
fn edit_distance(left: &str, right: &str) -> usize {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    for i in 1..=left.len() {
        let mut row = vec![i];
        for j in 1..=right.len() {
            let changed = last[j - 1] + usize::from(left[i - 1] != right[j - 1]);
            let mut fewest = changed.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1] {
                fewest = fewest.min(before[j - 2] + 1);
            }
            row.push(fewest);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_counted_by_the_finger() {
        for (left, right, count) in [
            ("listen", "listen", 0),
            ("listne", "listen", 1),
            ("lisen", "listen", 1),
            ("kitten", "sitting", 3),
            ("", "log", 3),
            ("log", "", 3),
        ] {
            assert_eq!(edit_distance(left, right), count, "{left} {right}");
        }
    }

    #[test]
    fn a_name_far_from_all_has_no_nearest() {
        let names = ["listen", "workers", "openai_api_key"];
        assert_eq!(nearest_name("openai_key", names.into_iter()), Some("openai_api_key"));
        assert_eq!(nearest_name("workres", names.into_iter()), Some("workers"));
        assert_eq!(nearest_name("frobnicate", names.into_iter()), None);
    }
}
